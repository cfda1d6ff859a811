// The frame under the cursor and its dream, the mask painted on it, and playing.
import { html } from "./html.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";

const VIEWS = ["Side by side", "Overlay", "Dream only"];

function MaskPainter({ width, height, onDone }) {
  const canvas = useRef(null), last = useRef(null);
  const [size, setSize] = useState(60);
  const [erase, setErase] = useState(false);
  const place = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  };
  const draw = (event) => {
    if (last.current === null) return;
    const context = canvas.current.getContext("2d"), spot = place(event);
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    context.strokeStyle = "rgba(255, 255, 255, 1)";
    context.lineWidth = size * (width / 640);
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...last.current);
    context.lineTo(spot[0] + 0.01, spot[1]);
    context.stroke();
    last.current = spot;
  };
  const keep = () => {
    const flat = document.createElement("canvas");
    flat.width = width;
    flat.height = height;
    const context = flat.getContext("2d");
    context.fillRect(0, 0, width, height);
    context.drawImage(canvas.current, 0, 0);
    flat.toBlob((blob) => onDone(blob), "image/png");
  };
  const nudge = (event) => {
    // By keyboard: a dab in the middle, moved by arrows.
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const at = last.keys ?? [width / 2, height / 2];
    if (step) last.keys = [at[0] + step[0] * size / 2, at[1] + step[1] * size / 2];
    else if (event.key !== " ") return;
    event.preventDefault();
    last.current = last.keys ?? at;
    const context = canvas.current.getContext("2d");
    context.fillStyle = "white";
    context.beginPath();
    context.arc(last.current[0], last.current[1], (size / 2) * (width / 640), 0, 7);
    context.fill();
    last.current = null;
  };
  return html`<canvas ref=${canvas} class="mask" width=${width} height=${height} tabindex="0" role="img"
      aria-label="Mask: paint with the pointer, or with arrows and space" onKeyDown=${nudge}
      onPointerDown=${(e) => { e.target.setPointerCapture(e.pointerId); last.current = place(e); draw(e); }}
      onPointerMove=${draw} onPointerUp=${() => (last.current = null)}></canvas>
    <div class="brush"><label>Brush <input type="range" min="5" max="200" value=${size}
        onInput=${(e) => setSize(Number(e.target.value))} /></label>
      <label><input type="checkbox" checked=${erase} onChange=${(e) => setErase(e.target.checked)} /> Erase</label>
      <button onClick=${keep}>Keep mask</button><button onClick=${() => onDone(null)}>No mask</button></div>`;
}

export function Viewer({ film, source, dream, painting, onMask, playing, onPlayed }) {
  const result = playing?.result;
  const [view, setView] = useState(VIEWS[0]);
  const [split, setSplit] = useState(50);
  const [heard, setHeard] = useState("source");
  const left = useRef(null), right = useRef(null);
  useEffect(() => {
    if (!playing) return;
    const videos = [left.current, right.current].filter(Boolean);
    videos.forEach((video) => { video.currentTime = playing.at; });
    Promise.all(videos.map((video) => video.play())).catch((error) => onPlayed(playing.at, error));
    const [first, second] = videos;
    const follow = () => {
      if (second && Math.abs(second.currentTime - first.currentTime) > 0.08) second.currentTime = first.currentTime;
      onPlayed(first.currentTime, null, first.ended || Boolean(second?.ended));
    };
    first?.addEventListener("timeupdate", follow);
    return () => { first?.removeEventListener("timeupdate", follow); videos.forEach((video) => video.pause()); };
  }, [playing]);
  const shape = { aspectRatio: `${film.width} / ${film.height}` };
  return html`<div class=${`viewer view-${VIEWS.indexOf(view)}`}>
    <fieldset class="views"><legend class="hidden">View</legend>
      ${VIEWS.map((each) => html`<label><input type="radio" name="view" checked=${view === each}
        onChange=${() => setView(each)} /> ${each}</label>`)}
      ${result?.hasSound && html`<label>Sound of <select value=${heard} onChange=${(e) => setHeard(e.target.value)}>
        <option>source</option><option>dream</option></select></label>`}
    </fieldset>
    <div class="stage">
      ${view !== "Dream only" && html`<figure class="source" style=${shape}>
        <img alt="Source frame" src=${source ?? ""} hidden=${Boolean(playing)} />
        ${playing && html`<video ref=${left} src=${`/api/films/${film.id}/media`} muted=${heard === "dream" && Boolean(result?.hasSound)} playsinline></video>`}
        ${painting && html`<${MaskPainter} width=${film.width} height=${film.height} onDone=${onMask} />`}
        <figcaption>source</figcaption></figure>`}
      <figure class="dream" style=${view === "Overlay" ? { ...shape, clipPath: `inset(0 0 0 ${split}%)` } : shape}>
        <img alt="Dream frame" src=${dream ?? "/static/empty.svg"} hidden=${Boolean(result)} />
        ${result && html`<video ref=${right} src=${result.url} muted=${heard !== "dream" || !result.hasSound} playsinline></video>`}
        <figcaption>${result && !result.hasSound ? `dreamed up to ${result.end.toFixed(1)} s` : "dream"}</figcaption></figure>
    </div>
    ${view === "Overlay" && html`<input type="range" class="split" aria-label="Split" min="0" max="100" value=${split}
      onInput=${(e) => setSplit(Number(e.target.value))} />`}
  </div>`;
}
