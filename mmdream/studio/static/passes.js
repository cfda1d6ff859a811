// The passes as blocks over time, with their fades; those of the command line's own text can be dragged.
import { html } from "./html.js";
import { useRef, useState } from "./vendor/hooks.js";

// A pass's text with other times: "dream:depth=0.6,from=3s,to=8s" -> "dream:depth=0.6,from=4s,to=9s".
export function withTimes(text, { start, stop, fade }) {
  const [head, rest = ""] = text.split(/:(.*)/s);
  const kept = rest.split(",").filter((each) => each && !/^\s*(from|to|fade)\s*=/.test(each));
  const times = [start > 0 && `from=${+start.toFixed(3)}s`, stop !== null && `to=${+stop.toFixed(3)}s`, fade > 0 && `fade=${+fade.toFixed(3)}s`];
  return [head, [...kept, ...times.filter(Boolean)].join(",")].filter(Boolean).join(":");
}

export function Passes({ passes, texts, duration, seekTo, onPasses }) {
  const lane = useRef(null), [held, setHeld] = useState(null);
  if (!passes?.length) return null;
  const isOwn = texts.length === passes.length;
  const seconds = (event) => {
    const spot = lane.current.getBoundingClientRect();
    return { at: Math.min(Math.max(((event.clientX - spot.left) / spot.width) * duration, 0), duration), near: (8 / spot.width) * duration };
  };
  const grab = (number, edge) => (event) => {
    event.target.setPointerCapture(event.pointerId);
    event.stopPropagation();
    setHeld({ number, edge, from: seconds(event).at, ...passes[number], first: passes[number] });
  };
  const drag = (event) => {
    if (!held) return;
    const { at, near } = seconds(event), stop = held.first.stop ?? duration;
    if (held.edge === "start") setHeld({ ...held, start: Math.min(seekTo(at, near, event.altKey), stop - 0.1) });
    else if (held.edge === "stop") setHeld({ ...held, stop: Math.max(seekTo(at, near, event.altKey), held.start + 0.1) });
    else {
      const length = stop - held.first.start;
      const start = Math.min(Math.max(seekTo(held.first.start + at - held.from, near, event.altKey), 0), duration - length);
      setHeld({ ...held, start, stop: held.first.stop === null ? null : start + length });
    }
  };
  const drop = () => {
    if (!held) return;
    const fade = Math.min(held.fade, ((held.stop ?? duration) - held.start) / 2);
    if (held.start !== held.first.start || held.stop !== held.first.stop)
      onPasses(texts.map((text, k) => (k === held.number ? withTimes(text, { ...held, fade }) : text)));
    setHeld(null);
  };
  return html`<div ref=${lane} class="passes" style=${{ height: `${1.8 * passes.length + 0.2}rem` }} onPointerMove=${drag} onPointerUp=${drop}
      onClick=${(event) => event.target !== lane.current && event.stopPropagation()}>
    ${passes.map((own, number) => {
      const pass = held?.number === number ? held : own, stop = pass.stop ?? duration;
      const length = Math.max(stop - pass.start, 1e-3), soft = `${Math.min((100 * pass.fade) / length, 50)}%`;
      const come = pass.start > 0 ? soft : "0%", gone = pass.stop === null ? "0%" : soft;
      const shade = `linear-gradient(to right, transparent, var(--accent) ${come}, var(--accent) calc(100% - ${gone}), transparent)`;
      return html`<div class="pass" title=${`${pass.name}: ${pass.start.toFixed(2)} to ${stop.toFixed(2)} s`}
          style=${{ top: `${1.8 * number + 0.2}rem`, left: `${(pass.start / duration) * 100}%`, width: `${(length / duration) * 100}%`, background: shade }}
          onPointerDown=${isOwn && grab(number, "middle")}><span>${pass.name}</span>
        ${isOwn && html`<i class="edge" onPointerDown=${grab(number, "start")}></i><i class="edge stop" onPointerDown=${grab(number, "stop")}></i>`}
      </div>`;
    })}</div>`;
}
