// What a network can be asked for, as pictures that it dreamed once; chosen by pointer or keyboard.
import { html } from "./html.js";
import { get, send } from "./api.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";

const ASK_MS = 300, FILTER_FROM = 30;

// Names that are looked at are asked for first; what is there is known by `made`.
function useDreamed(net, kind, shown, made, onMade) {
  const asked = useRef("");
  useEffect(() => {
    const missing = shown.filter((name) => !made.has(`${net}/${kind}/${name}`));
    const what = JSON.stringify([net, kind, missing]);
    if (!missing.length || asked.current === what) return undefined;
    const timer = setTimeout(() => {
      asked.current = what;
      send("POST", `/api/gallery/${encodeURIComponent(net)}/${kind}`, { names: missing.slice(0, 300) })
        .then((known) => onMade(known.map((name) => `${net}/${kind}/${name}`))).catch(() => {});
    }, ASK_MS);
    return () => clearTimeout(timer);
  }, [net, kind, shown.join()]);
}

// Names that words come near to: "sea animals" finds a jellyfish.
function useNearest(net, words) {
  const [found, setFound] = useState([]);
  useEffect(() => {
    setFound([]);
    if (words.trim().length < 3) return undefined;
    const controller = new AbortController();
    const ask = () => get(`/api/gallery/${encodeURIComponent(net)}/find?words=${encodeURIComponent(words)}`, { signal: controller.signal })
      .then(setFound).catch(() => {});
    const timer = setTimeout(ask, ASK_MS);
    return () => { clearTimeout(timer); controller.abort(); };
  }, [net, words]);
  return found;
}

export function Gallery({ title, net, kind, names, chosen, onToggle, made, onMade }) {
  const [isLookedAt, setLookedAt] = useState(kind === "motif");
  const [filter, setFilter] = useState(""), [active, setActive] = useState(0);
  const spelled = names.filter((name) => name.toLowerCase().includes(filter.toLowerCase()));
  const nearest = useNearest(net, filter);
  const shown = [...spelled, ...nearest.filter((name) => names.includes(name) && !spelled.includes(name))];
  useDreamed(net, kind, isLookedAt ? shown : [], made, onMade);
  if (!names.length) return null;
  const focus = (event, number) => {
    event.preventDefault();
    setActive(number);
    event.currentTarget.parentElement.children[number]?.focus();
  };
  const onKey = (event, name, number) => {
    const last = shown.length - 1;
    const next = { ArrowDown: number + 3, ArrowUp: number - 3, ArrowRight: number + 1, ArrowLeft: number - 1, Home: 0, End: last }[event.key];
    if (next !== undefined) focus(event, Math.min(Math.max(next, 0), last));
    if (event.key === " " || event.key === "Enter") { event.preventDefault(); onToggle(name); }
  };
  const look = () => setLookedAt(true);
  return html`<section class="gallery" onPointerEnter=${look} onFocusIn=${look}><h3>${title}${chosen.length > 0 && html` <small>${chosen.length} chosen</small>`}</h3>
    ${names.length > FILTER_FROM && html`<input type="search" aria-label=${`Find ${title.toLowerCase()}`} placeholder=${`Find among ${names.length}`}
      value=${filter} onInput=${(e) => { setFilter(e.target.value); setActive(0); }} />`}
    <ul role="listbox" aria-multiselectable="true" aria-label=${title}>
      ${shown.map((name, number) => html`<li role="option" key=${name} tabindex=${number === Math.min(active, shown.length - 1) ? 0 : -1}
          aria-selected=${chosen.includes(name)} onClick=${() => { setActive(number); onToggle(name); }} onKeyDown=${(e) => onKey(e, name, number)}>
        ${made.has(`${net}/${kind}/${name}`) && html`<img alt="" loading="lazy" src=${`/api/gallery/${encodeURIComponent(net)}/${kind}/${encodeURIComponent(name)}`} />`}
        <span>${name}</span></li>`)}
    </ul></section>`;
}

export function Sounds({ net, names, chosen, onToggle, atoms, made, onMade, isOpen }) {
  const [source, setSource] = useState(null), player = useRef(null);
  useDreamed(net, "sound", isOpen ? names : [], made, onMade);
  useEffect(() => { if (source) player.current?.play().catch(() => {}); }, [source]);
  // Another address for the same atom: it is heard again.
  const hearAtom = (kind) => setSource((old) => {
    const number = old?.kind === kind ? (old.number + 1) % atoms[kind].length : 0;
    return { kind, number, url: `/api/atoms/${encodeURIComponent(kind)}?n=${number}` };
  });
  return html`<div class="sounds"><audio ref=${player} src=${source?.url}></audio>
    <ul aria-label="Sounds">${names.map((name) => html`<li key=${name}>
      <label><input type="checkbox" checked=${chosen.includes(name)} onChange=${() => onToggle(name)} /> ${name}</label>
      <button disabled=${!made.has(`${net}/sound/${name}`)} title="What the network dreams of it, out of noise" aria-label=${`Hear ${name}`}
        onClick=${() => setSource({ url: `/api/gallery/${encodeURIComponent(net)}/sound/${encodeURIComponent(name)}?t=${Date.now()}` })}>▶</button>
      ${atoms[name] && html`<button title="The next recording that grains are made of" aria-label=${`Hear a grain of ${name}`} onClick=${() => hearAtom(name)}>♪</button>`}
    </li>`)}</ul></div>`;
}
