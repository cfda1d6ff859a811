// Thumbnails, sound, cuts, beats, curves, motifs and passes over time; the keys stand also in a table.
import { html } from "./html.js";
import { get } from "./api.js";
import { Keys, slug } from "./keys.js";
import { Passes } from "./passes.js";
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.js";

const CURVE_HEIGHT = 120, MARGIN = 10, THUMBS = 12, MAX_ZOOM = 32, SAMPLES = 240, SNAP_PX = 8;

const color = (number) => `hsl(${(number * 137) % 360} 65% 58%)`;

function Wave({ peaks, zoom }) {
  const canvas = useRef(null), width = 1000 * Math.min(zoom, 8);
  useEffect(() => {
    const context = canvas.current.getContext("2d");
    context.clearRect(0, 0, width, 40);
    context.fillStyle = getComputedStyle(canvas.current).color;
    peaks.forEach((peak, k) => {
      const tall = Math.max(1, peak * 38);
      context.fillRect((k / peaks.length) * width, 20 - tall / 2, width / peaks.length + 0.3, tall);
    });
  }, [peaks, width]);
  return html`<canvas ref=${canvas} class="wave" width=${width} height="40" aria-hidden="true"></canvas>`;
}

function Ruler({ duration, zoom }) {
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800].find((each) => (duration / each) <= 14 * zoom) ?? 3600;
  const ticks = Array.from({ length: Math.floor(duration / step) + 1 }, (_, k) => k * step);
  const label = (at) => (at >= 60 ? `${Math.floor(at / 60)}:${String(Math.round(at % 60)).padStart(2, "0")}` : `${+at.toFixed(1)} s`);
  return html`<div class="ruler" aria-hidden="true">${ticks.map((at) => html`<span style=${{ left: `${(at / duration) * 100}%` }}>${label(at)}</span>`)}</div>`;
}

function Marks({ marks, duration }) {
  const place = (at) => ({ left: `${(at / duration) * 100}%` });
  return html`<div class="marks" aria-hidden="true">
    ${(marks?.beats ?? []).map((at) => html`<i class="beat" style=${place(at)}></i>`)}
    ${(marks?.cuts ?? []).map((at) => html`<i class="cut" style=${place(at)} title=${`cut at ${at.toFixed(2)} s`}></i>`)}</div>`;
}

function Bands({ sampled, duration }) {
  const motifs = [...new Set((sampled?.motifs ?? []).flatMap((shares) => Object.keys(shares)))];
  if (!motifs.length || (motifs.length === 1 && motifs[0] === "auto")) return null;
  const stops = (motif) => sampled.motifs.map((shares, k) =>
    `color-mix(in srgb, currentColor ${Math.round(100 * (shares[motif] ?? 0))}%, transparent) ${((sampled.seconds[k] / duration) * 100).toFixed(2)}%`);
  return html`<div class="bands" role="img" aria-label=${`Motifs over time: ${motifs.join(", ")}`}>${motifs.map((motif, m) =>
    html`<div style=${{ color: color(m), background: `linear-gradient(to right, ${stops(motif).join(", ")})` }}><span>${motif}</span></div>`)}</div>`;
}

function Curve({ field, duration, sampled, driven, keys, seekTo, onMove, onAdd }) {
  const box = useRef(null), [held, setHeld] = useState(null);
  const name = slug(field.name), low = field.low ?? 0, high = field.high ?? 1;
  const y = (value) => CURVE_HEIGHT - MARGIN - ((value - low) / (high - low)) * (CURVE_HEIGHT - 2 * MARGIN);
  const line = (seconds, values) => values.map((value, k) => `${((seconds[k] / duration) * 1000).toFixed(2)},${y(value).toFixed(2)}`).join(" ");
  const place = (event) => {
    const spot = box.current.getBoundingClientRect();
    const across = Math.min(Math.max((event.clientX - spot.left) / spot.width, 0), 1);
    const up = Math.min(Math.max((CURVE_HEIGHT - MARGIN - (event.clientY - spot.top)) / (CURVE_HEIGHT - 2 * MARGIN), 0), 1);
    const value = low + up * (high - low);
    return { at: seekTo(across * duration, (SNAP_PX / spot.width) * duration, event.altKey), value: field.step === 1 ? Math.round(value) : Math.round(value * 100) / 100 };
  };
  const own = keys.map((key, number) => ({ ...key, number })).filter((key) => key.setting === name);
  const moved = (key) => (held?.number === key.number ? { ...key, ...held } : key);
  return html`<div ref=${box} class="curve" style=${{ height: `${CURVE_HEIGHT}px` }}
      onDblClick=${(event) => onAdd({ setting: name, ...place(event) })}>
    <svg viewBox=${`0 0 1000 ${CURVE_HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${`${field.title} over time`}>
      ${sampled?.curves[name] && html`<polyline points=${line(sampled.seconds, sampled.curves[name])} />`}
      ${driven?.[name] && html`<polyline class="driven" points=${line(driven.seconds, driven[name])} />`}
    </svg>
    <span class="scale top">${high}</span><span class="scale">${low}</span>
    ${own.map(moved).map((key) => html`<i class="key" key=${key.number} title=${`${key.at.toFixed(2)} s: ${key.value}`}
      style=${{ left: `${(key.at / duration) * 100}%`, top: `${y(Number(key.value))}px` }}
      onPointerDown=${(event) => { event.target.setPointerCapture(event.pointerId); event.stopPropagation(); setHeld({ number: key.number, at: key.at, value: key.value }); }}
      onPointerMove=${(event) => held && setHeld({ number: held.number, ...place(event) })}
      onPointerUp=${() => { if (held) onMove(held.number, { at: held.at, value: held.value }); setHeld(null); }}
      onDblClick=${(event) => event.stopPropagation()}></i>`)}
  </div>`;
}

export function Timeline({ film, fields, settings, keys, cursor, driven, onKeys, onPasses, onSeek, history }) {
  const varying = fields.filter((field) => field.varies);
  const [shown, setShown] = useState("strength");
  const [zoom, setZoom] = useState(1);
  const [sampled, setSampled] = useState(null);
  const track = useRef(null), duration = Math.max(film.duration, 1e-3);
  useEffect(() => {
    get(`/api/films/${film.id}/curves?to=${film.duration}&count=${SAMPLES}`).then(setSampled).catch(() => {});
  }, [film.id, film.text]);
  useLayoutEffect(() => { // The cursor stays in sight.
    const outer = track.current;
    outer.scrollLeft = (cursor / duration) * outer.scrollWidth - outer.clientWidth / 2;
  }, [zoom]);
  const curved = varying.filter((field) => field.kind === "number");
  const field = curved.find((each) => each.name === shown);
  const marks = film.marks;
  // Where a drag or a click lands: on a cut, a beat, a key or the cursor if one is near, unless Alt is held.
  const seekTo = (at, near, free) => {
    const all = free ? [] : [cursor, ...keys.map((key) => key.at), ...(marks?.cuts ?? []), ...(marks?.beats ?? [])];
    const best = all.reduce((found, mark) => (Math.abs(mark - at) < Math.abs(found - at) ? mark : found), Infinity);
    return Math.round((Math.abs(best - at) < near ? best : at) * 1000) / 1000;
  };
  const click = (event) => {
    const spot = event.currentTarget.getBoundingClientRect();
    const at = ((event.clientX - spot.left) / spot.width) * duration;
    onSeek(seekTo(at, (SNAP_PX / spot.width) * duration, event.altKey));
  };
  const add = () => {
    const each = varying.find((other) => other.name === shown);
    const sample = sampled?.curves[slug(shown)]?.[Math.round((cursor / duration) * (SAMPLES - 1))];
    const value = each.kind === "number" ? sample ?? (Number(each.default) || 0) : (settings.motif ?? "auto").split(",")[0];
    onKeys([...keys, { setting: slug(shown), at: Math.round(cursor * 1000) / 1000, value }]);
  };
  const wheel = (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    setZoom((old) => Math.min(Math.max(event.deltaY < 0 ? old * 1.5 : old / 1.5, 1), MAX_ZOOM));
  };
  const count = Math.round(THUMBS * Math.min(zoom, 10));
  const thumbs = Array.from({ length: count }, (_, k) => ((k + 0.5) / count) * film.duration);
  const tracks = film.tracks.length ? `sound ${film.tracks.join("; ")}` : "no sound";
  return html`<section class="timeline" aria-label="Timeline">
    <div class="head"><h2>Timeline</h2>
      <label>Curve <select value=${shown} onChange=${(e) => setShown(e.target.value)}>
        ${varying.map((each) => html`<option value=${each.name}>${each.title}</option>`)}</select></label>
      <button onClick=${add}>Add key</button>
      <button onClick=${history.undo} disabled=${!history.canUndo}>Undo</button>
      <button onClick=${history.redo} disabled=${!history.canRedo}>Redo</button>
      <span class="zoom"><button aria-label="Zoom out" disabled=${zoom <= 1} onClick=${() => setZoom(Math.max(zoom / 2, 1))}>−</button>
        <button aria-label="Zoom in" disabled=${zoom >= MAX_ZOOM} onClick=${() => setZoom(Math.min(zoom * 2, MAX_ZOOM))}>+</button></span>
      ${film.scanned < 1 && html`<span class="hint">The film is gone through for cuts, beats and quick scrubbing: ${Math.round(100 * film.scanned)} %</span>`}
    </div>
    <div ref=${track} class="track" tabindex="0" role="group" aria-label="Film over time" onWheel=${wheel}><div class="lanes" style=${{ width: `${100 * zoom}%` }} onClick=${click}>
      <${Ruler} duration=${duration} zoom=${zoom} />
      <div class="thumbs">${thumbs.map((at) => html`<img alt="" loading="lazy" src=${`/api/films/${film.id}/thumbnail?at=${at.toFixed(2)}`} />`)}</div>
      ${film.peaks.length > 0 && html`<${Wave} peaks=${film.peaks} zoom=${zoom} />`}
      ${field && html`<${Curve} field=${field} duration=${duration} sampled=${sampled} driven=${driven} keys=${keys} seekTo=${seekTo}
        onMove=${(number, changed) => onKeys(keys.map((key, k) => (k === number ? { ...key, ...changed } : key)))}
        onAdd=${(key) => onKeys([...keys, key])} />`}
      <${Bands} sampled=${sampled} duration=${duration} />
      <${Passes} passes=${film.text.passes} texts=${settings.pass ?? []} duration=${duration} seekTo=${seekTo} onPasses=${onPasses} />
      <${Marks} marks=${marks} duration=${duration} />
      <i class="cursor" style=${{ left: `${(cursor / duration) * 100}%` }}></i>
    </div></div>
    <p class="hint facts">${film.width}x${film.height}, ${+film.rate.toFixed(3)} frames a second, ${film.duration.toFixed(2)} s; ${tracks}</p>
    <div class="buttons"><button onClick=${() => onPasses([...(settings.pass ?? ["dream"]), newPass(cursor, film.duration)])}>Add pass</button></div>
    <${Keys} keys=${keys} fields=${varying} onKeys=${onKeys} />
  </section>`;
}

function newPass(cursor, duration) {
  const from = Math.min(cursor, Math.max(duration - 1, 0)), to = Math.min(from + 2, duration);
  const fade = Math.min(0.5, (to - from) / 2);
  return `dream:from=${from.toFixed(2)}s,to=${to.toFixed(2)}s,fade=${fade.toFixed(2)}s`;
}
