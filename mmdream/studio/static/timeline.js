// Thumbnails, the sound's course, curves and motifs over time, and the same as a table.
import { html } from "./html.js";
import { get } from "./api.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";

const WIDTH = 1000, HEIGHT = 110, THUMBS = 12, SNAP = 0.012;

function Wave({ peaks }) {
  const canvas = useRef(null);
  useEffect(() => {
    const context = canvas.current.getContext("2d");
    context.clearRect(0, 0, WIDTH, 40);
    context.fillStyle = getComputedStyle(canvas.current).color;
    peaks.forEach((peak, k) => {
      const x = (k / peaks.length) * WIDTH, tall = Math.max(1, peak * 38);
      context.fillRect(x, 20 - tall / 2, WIDTH / peaks.length, tall);
    });
  }, [peaks]);
  return html`<canvas ref=${canvas} class="wave" width=${WIDTH} height="40" aria-hidden="true"></canvas>`;
}

function color(number) {
  return `hsl(${(number * 137) % 360} 70% 60%)`;
}

function Curves({ film, keys, fields, shown, cursor, onKeys, onSeek }) {
  const [sampled, setSampled] = useState(null);
  const drag = useRef(null), svg = useRef(null);
  useEffect(() => {
    get(`/api/films/${film.id}/curves?to=${film.duration}&count=240`).then(setSampled).catch(() => {});
  }, [film.id, keys, film.text]);
  const field = fields.find((each) => each.name === shown);
  const name = shown.replaceAll("-", "_");
  const low = field.low ?? 0, high = field.high ?? 1;
  const x = (at) => (at / Math.max(film.duration, 1e-6)) * WIDTH;
  const y = (value) => HEIGHT - 8 - ((value - low) / (high - low)) * (HEIGHT - 16);
  const place = (event) => {
    const box = svg.current.getBoundingClientRect();
    const across = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const up = Math.min(Math.max(1 - ((event.clientY - box.top) / box.height * HEIGHT - 8) / (HEIGHT - 16), 0), 1);
    let at = across * film.duration;
    for (const mark of [cursor, ...keys.map((key) => key.at)])
      if (!event.altKey && Math.abs(mark - at) < SNAP * film.duration) { at = mark; break; }
    return { at: Math.round(at * 1000) / 1000, value: Math.round((low + up * (high - low)) * 100) / 100 };
  };
  const own = keys.map((key, number) => ({ ...key, number })).filter((key) => key.setting === name);
  const line = sampled?.curves[name]?.map((value, k) => `${x(sampled.seconds[k])},${y(value)}`).join(" ");
  const motifs = sampled ? Object.keys(sampled.motifs[0] ?? {}) : [];
  const move = (event) => {
    if (drag.current === null) return;
    const { at, value } = place(event);
    onKeys(keys.map((key, k) => (k === drag.current ? { ...key, at, value } : key)), true);
  };
  return html`<svg ref=${svg} class="curves" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img"
      aria-label=${`${field.title} over time`}
      onPointerMove=${move} onPointerUp=${() => { if (drag.current !== null) { drag.current = null; onKeys(keys); } }}
      onDblClick=${(event) => { const spot = place(event); onKeys([...keys, { setting: name, ...spot }]); }}
      onClick=${(event) => drag.current === null && onSeek(place(event).at)}>
    ${sampled && motifs.map((motif, m) => sampled.motifs.map((shares, k) => html`<rect x=${x(sampled.seconds[k])}
      width=${WIDTH / 239 + 0.5} y=${HEIGHT - 7 * (m + 1)} height="6" fill=${color(m)} opacity=${shares[motif]}>
      <title>${motif}</title></rect>`))}
    ${line && html`<polyline points=${line} />`}
    <line class="cursor" x1=${x(cursor)} x2=${x(cursor)} y1="0" y2=${HEIGHT} />
    ${own.map((key) => html`<circle cx=${x(key.at)} cy=${y(Number(key.value))} r="6"
      onPointerDown=${(event) => { event.target.setPointerCapture?.(event.pointerId); drag.current = key.number; event.stopPropagation(); }}
      onClick=${(event) => event.stopPropagation()} />`)}
  </svg>`;
}

export function Timeline({ film, fields, keys, cursor, onKeys, onSeek, history }) {
  const varying = fields.filter((field) => field.varies);
  const [shown, setShown] = useState("strength");
  const curved = varying.filter((field) => field.kind === "number");
  const thumbs = Array.from({ length: THUMBS }, (_, k) => ((k + 0.5) / THUMBS) * film.duration);
  const set = (number, changed) => onKeys(keys.map((key, k) => (k === number ? { ...key, ...changed } : key)));
  const title = (name) => varying.find((field) => field.name.replaceAll("-", "_") === name)?.title ?? name;
  const add = () => {
    const field = varying.find((each) => each.name === shown);
    const value = field.name === "motif" ? "" : Number(field.default) || 0;
    onKeys([...keys, { setting: shown.replaceAll("-", "_"), at: Math.round(cursor * 1000) / 1000, value }]);
  };
  return html`<section class="timeline" aria-label="Timeline">
    <div class="head"><h2>Timeline</h2>
      <label>Curve <select value=${shown} onChange=${(e) => setShown(e.target.value)}>
        ${varying.map((field) => html`<option value=${field.name}>${field.title}</option>`)}</select></label>
      <button onClick=${add}>Add key</button>
      <button onClick=${history.undo} disabled=${!history.canUndo}>Undo</button>
      <button onClick=${history.redo} disabled=${!history.canRedo}>Redo</button>
    </div>
    ${film.rate > 0 && html`<div class="thumbs">${thumbs.map((at) => html`<img alt="" loading="lazy"
      src=${`/api/films/${film.id}/thumbnail?at=${at.toFixed(2)}`} onClick=${() => onSeek(at)} />`)}</div>`}
    ${film.peaks.length > 0 && html`<${Wave} peaks=${film.peaks} />`}
    <${Curves} film=${film} keys=${keys} fields=${curved} shown=${curved.some((f) => f.name === shown) ? shown : "strength"}
      cursor=${cursor} onKeys=${onKeys} onSeek=${onSeek} />
    <table aria-label="Keys"><thead><tr><th>Setting</th><th>Second</th><th>Value</th><th>Way to the next</th><td></td></tr></thead>
      <tbody>${keys.map((key, number) => html`<tr key=${number}>
        <td>${title(key.setting)}</td>
        <td><input type="number" step="any" min="0" aria-label=${`Second of key ${number + 1}`} value=${key.at}
          onChange=${(e) => set(number, { at: Number(e.target.value) })} /></td>
        <td><input type="text" aria-label=${`Value of key ${number + 1}`} value=${key.value} onChange=${(e) =>
          set(number, { value: key.setting === "motif" ? e.target.value : Number(e.target.value) })} /></td>
        <td><select aria-label=${`Ease of key ${number + 1}`} value=${key.ease ?? "linear"}
          onChange=${(e) => set(number, { ease: e.target.value })}>
          ${["linear", ...(key.setting === "motif" ? [] : ["smooth"]), "hold"].map((each) => html`<option>${each}</option>`)}</select></td>
        <td><button aria-label=${`Remove key ${number + 1}`} onClick=${() => onKeys(keys.filter((_, k) => k !== number))}>✕</button></td>
      </tr>`)}</tbody></table>
  </section>`;
}
