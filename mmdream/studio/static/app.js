// The page: what is open, what is set, and what the studio tells.
import { Field, html } from "./html.js";
import { get, listen, newest, send } from "./api.js";
import { Exchange } from "./exchange.js";
import { Jobs } from "./jobs.js";
import { Settings } from "./settings.js";
import { DreamedSound } from "./sound.js";
import { Timeline } from "./timeline.js";
import { Viewer } from "./viewer.js";
import { useCallback, useEffect, useRef, useState } from "./vendor/hooks.js";
import { render } from "./vendor/preact.js";

const CUT = "The studio does not answer; what is being made goes on. Is `mmdream studio` still running?";
const FRAME_HEIGHT = 540, SAVE_MS = 60, DREAM_MS = 60, UNDO_STEPS = 100, MAX_MESSAGES = 5;

const SHORTCUTS = [["Space", "play, pause"], ["← →", "a frame"], ["Page Up, Down", "a second"], ["H", "hear the dream"], ["M", "paint the mask"],
  ["Q", "add to the queue"], ["Ctrl Z, Y", "undo, redo"], ["Alt", "drag without snapping"], ["Ctrl wheel", "zoom the timeline"]];

function useLater() {
  const timer = useRef(null);
  return useCallback((work, wait) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(work, wait);
  }, []);
}

function Films({ films, open, onOpen, onAdd }) {
  return html`<section class="films"><h2 id="films-title">Films</h2>
    <ul role="list" aria-labelledby="films-title">${films.map((film) => html`<li key=${film.id}>
      <button aria-current=${open === film.id} onClick=${() => onOpen(film.id)}>${film.name}</button></li>`)}</ul>
    ${!films.length && html`<p class="hint">Drop a film here, or add one.</p>`}
    <label class="add">Add films <input type="file" aria-label="Add films" multiple
      onChange=${(e) => { onAdd([...e.target.files]); e.target.value = ""; }} /></label></section>`;
}

function Tries({ tries, onBack }) {
  return html`<section class="tries"><h2 id="tries-title">Tries</h2>
    <ul role="list" aria-labelledby="tries-title">${tries.map((each) => html`<li key=${each.id}>
      <button onClick=${() => onBack(each)} aria-label=${`Try at ${each.seconds.toFixed(2)} s`}>
        <img alt="" loading="lazy" src=${`/api/dreams/${each.id}/quick.jpg`} /></button></li>`)}</ul></section>`;
}


function App() {
  const [begun, setBegun] = useState(null);
  const [films, setFilms] = useState([]);
  const [jobs, setJobs] = useState([]);
  const [film, setFilm] = useState(null);
  const [cursor, setCursor] = useState(0);
  const [state, setState] = useState({ settings: {}, keys: [], mask: "" });
  const [tries, setTries] = useState([]);
  const [source, setSource] = useState(null);
  const [dream, setDream] = useState({ state: "", url: null, seconds: null });
  const [sound, setSound] = useState(null);
  const [painting, setPainting] = useState(false);
  const [playing, setPlaying] = useState(null);
  const [messages, setMessages] = useState([]);
  const [driven, setDriven] = useState(null);
  const [made, setMade] = useState(new Set());
  const [past, setPast] = useState([]);
  const [future, setFuture] = useState([]);
  const frames = useRef(newest());
  const asked = useRef({ picture: null, sound: null, drives: null }); // Ids of the newest dreams.
  const openId = useRef(null);
  const now = useRef(0); // The cursor, for what happens later.
  now.current = cursor;
  const saveLater = useLater(), dreamLater = useLater();

  const report = useCallback((error) => {
    const text = error?.message ?? String(error);
    if (error?.name !== "AbortError") setMessages((old) => [text, ...old.filter((each) => each !== text)].slice(0, MAX_MESSAGES));
  }, []);

  const onMade = useCallback((names) => setMade((old) => new Set([...old, ...names])), []);

  const onDream = useCallback((said) => {
    if (said.state === "entry") return onMade([`${said.net}/${said.of}/${said.name}`]);
    if (said.id !== asked.current[said.kind]) return;
    if (said.state === "drives") setDriven(said.curves);
    else if (said.state === "sound") setSound({ id: said.id, begin: said.seconds });
    else if (said.kind !== "picture") {
      if (said.message) report(said);
    } else if (said.state === "quick" || said.state === "full")
      setDream({ state: said.state, seconds: said.seconds, url: `/api/dreams/${said.id}/${said.state}.jpg` });
    else if (said.state === "share") setDream((old) => ({ ...old, share: said.share }));
    else if (said.message) {
      report(said);
      setDream((old) => ({ ...old, state: "failed" }));
    } else setDream((old) => ({ ...old, state: said.state, share: 0 }));
  }, [report]);

  useEffect(() => {
    get("/api/begin").then((found) => {
      setBegun(found);
      setFilms(found.films);
      setJobs(found.jobs);
      if (found.films.some((each) => each.id === found.open)) open(found.open);
    }).catch(report);
    listen((said) => {
      if (said.type === "jobs") setJobs(said.jobs);
      if (said.type === "films") setFilms(said.films);
      if (said.type === "scan" && said.error) report(new Error(said.error));
      if (said.type === "scan" && said.film === openId.current) setFilm((old) => ({ ...old, scanned: said.share, marks: said.marks ?? old.marks }));
      if (said.type === "tries" && said.film === openId.current) setTries(said.tries);
      if (said.type === "dream") onDream(said);
    }, (isOpen, wasCut) => {
      setMessages((old) => [...(isOpen ? [] : [CUT]), ...old.filter((each) => each !== CUT)]);
      if (isOpen && wasCut && openId.current) { // What was said meanwhile is asked for.
        get(`/api/films/${openId.current}`).then((found) => {
          setTries(found.tries);
          setFilm((old) => ({ ...old, marks: found.marks, scanned: found.marks ? 1 : old.scanned }));
        }).catch(report);
        askDream(openId.current, now.current);
      }
    });
  }, []);

  const askDream = useCallback((id, at, kind = "picture", wait = DREAM_MS) => {
    const ask = () => send("POST", `/api/films/${id}/dream`, { kind, at })
      .then((made) => { asked.current[kind] = made.id; if (kind === "picture") setDream((old) => ({ ...old, state: "dreaming" })); })
      .catch(report);
    if (wait) dreamLater(ask, wait);
    else ask();
  }, []);

  const show = useCallback((found, at) => {
    frames.current(`/api/films/${found.id}/frame?at=${at.toFixed(6)}&height=${FRAME_HEIGHT}`).then(({ blob }) => {
      setSource((old) => { if (old) URL.revokeObjectURL(old); return URL.createObjectURL(blob); });
    }).catch(report);
  }, []);

  const open = useCallback((id) => {
    get(`/api/films/${id}`).then((found) => {
      openId.current = id;
      setFilm({ ...found, scanned: found.marks ? 1 : 0 });
      setDriven(null);
      setState({ settings: found.state.settings, keys: found.state.keys, mask: found.state.mask });
      setTries(found.tries);
      setPast([]);
      setFuture([]);
      setSound(null);
      setPainting(false);
      setPlaying(null);
      setDream({ state: "", url: null, seconds: null });
      setCursor(found.state.cursor);
      show(found, found.state.cursor);
      askDream(id, found.state.cursor);
    }).catch(report);
  }, []);

  const add = useCallback(async (files) => {
    for (const file of files)
      try {
        const made = await send("POST", "/api/films", file, { "X-File-Name": encodeURIComponent(file.name) });
        open(made.id);
      } catch (error) {
        report(error);
      }
  }, []);

  const seek = (at) => {
    const last = Math.max(film.duration - 1 / film.rate, 0);
    at = Math.min(Math.max(at, 0), last);
    setCursor(at);
    setPlaying(null);
    show(film, at);
    askDream(film.id, at);
  };

  const save = (next) => {
    setState(next);
    saveLater(() => send("PUT", `/api/films/${film.id}/state`, { ...next, cursor: now.current }).then((text) => {
      if (openId.current !== film.id) return;
      setFilm((old) => ({ ...old, text }));
      askDream(film.id, now.current, "picture", 1);
    }).catch(report), SAVE_MS);
  };
  const change = (next) => {
    setPast((old) => [...old, state].slice(-UNDO_STEPS));
    setFuture([]);
    save(next);
  };
  const history = {
    canUndo: past.length > 0, canRedo: future.length > 0,
    undo: () => { setFuture((old) => [state, ...old]); setPast((old) => old.slice(0, -1)); save(past.at(-1)); },
    redo: () => { setPast((old) => [...old, state]); setFuture((old) => old.slice(1)); save(future[0]); },
  };
  const queue = () => { send("POST", `/api/films/${film.id}/job`).then(setJobs).catch(report); };
  // The newest film that was made of this one, or as much of it as is finished.
  const togglePlay = async () => {
    if (playing) { setPlaying(null); seek(cursor); return; }
    const own = jobs.filter((job) => job.film === film.name).reverse();
    const done = own.find((job) => job.state === "done"), begun = own.find((job) => job.share > 0);
    let result = done && { url: `/api/jobs/${done.id}/film`, hasSound: true, end: film.duration };
    if (!done && begun) {
      setPlaying({ at: cursor, isWaiting: true });
      const partial = await send("POST", `/api/jobs/${begun.id}/partial`).catch(() => null);
      if (partial) result = { url: `/api/jobs/${begun.id}/partial?v=${partial.seconds}`, hasSound: false, end: partial.seconds };
    }
    setPlaying({ at: cursor, result: result && cursor < result.end ? result : null });
  };
  const setOne = (name, value) => {
    const settings = { ...state.settings };
    if (value === undefined) delete settings[name];
    else settings[name] = value;
    change({ ...state, settings });
  };

  useEffect(() => {
    const onKey = (event) => {
      if (/INPUT|TEXTAREA|SELECT|VIDEO/.test(event.target.tagName) || !film) return;
      const isFree = !/BUTTON|LI|SUMMARY|A|CANVAS/.test(event.target.tagName);
      const acts = {
        " ": () => isFree && togglePlay(), ArrowLeft: () => isFree && seek(cursor - 1 / film.rate), ArrowRight: () => isFree && seek(cursor + 1 / film.rate),
        PageUp: () => isFree && seek(cursor + 1), PageDown: () => isFree && seek(cursor - 1),
        h: () => film.tracks.length > 0 && askDream(film.id, cursor, "sound", 0), m: () => setPainting(!painting), q: queue,
      };
      const control = event.ctrlKey || event.metaKey;
      const act = control ? { z: event.shiftKey ? history.redo : history.undo, Z: history.redo, y: history.redo }[event.key] : !event.altKey && acts[event.key];
      if (!act || (control && act === history.undo && !history.canUndo) || (act === history.redo && !history.canRedo)) return;
      if (act() !== false) event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  useEffect(() => { // What drives come to is measured once cuts and motion are known.
    setDriven(null);
    if (film?.marks && (state.settings.drive ?? []).length) askDream(film.id, 0, "drives", 0);
  }, [film?.id, film?.marks, film?.text]);

  const drop = (event) => { event.preventDefault(); add([...event.dataTransfer.files]); };
  const keepMask = (blob) => {
    setPainting(false);
    send("PUT", `/api/films/${film.id}/mask`, blob ?? new Blob([])).then((found) => change({ ...state, mask: found.mask })).catch(report);
  };
  if (!begun) return html`<p class="loading" role="status" aria-label="Messages">${messages[0] ?? "The studio opens."}</p>`;
  const fields = begun.fields;
  const told = dream.state === "quick" || dream.state === "full" ? `${dream.state}, ${dream.seconds.toFixed(2)} s`
    : dream.state === "starting" ? "dreaming; the network is being loaded" : dream.state;
  return html`<div class="studio" onDragOver=${(e) => e.preventDefault()} onDrop=${drop}>
    <header><h1>mmdream <small>studio</small></h1><span class="folder">${begun.folder}</span></header>
    <aside class="side">
      <${Films} films=${films} open=${film?.id} onOpen=${open} onAdd=${add} />
      <${Jobs} jobs=${jobs} report=${report} />
      <details class="shortcuts"><summary>Keyboard</summary><dl>${SHORTCUTS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl></details>
    </aside>
    <main>${film ? html`
      <${Viewer} film=${film} source=${source} dream=${dream.url} painting=${painting} onMask=${keepMask}
        playing=${playing?.isWaiting ? null : playing}
        onPlayed=${(at, error, ended) => { if (error) { report(error); setPlaying(null); } else setCursor(at); if (ended) setPlaying(null); }} />
      <div class="transport">
        <button class="play" onClick=${togglePlay}>${playing?.isWaiting ? "Joining" : playing ? "Pause" : "Play"}</button>
        <input type="range" class="time" aria-label="Time" min="0" max=${film.duration} step=${1 / film.rate}
          value=${cursor} onInput=${(e) => seek(Number(e.target.value))} onKeyDown=${(e) => {
            const step = { PageUp: 1, PageDown: -1 }[e.key];
            if (step) { e.preventDefault(); seek(cursor + step); }
          }} />
        <${Field} type="number" aria-label="Time in seconds" min="0" max=${film.duration} step="any" value=${cursor.toFixed(3)}
          onCommit=${(text) => text !== "" && seek(Number(text))} />
        <span role="status" aria-label="Dream state" class=${`dream-state ${dream.state}`}>${told}</span>
        ${["quick", "dreaming"].includes(dream.state) && dream.share > 0 && html`<progress aria-label="As in the film" max="1" value=${dream.share}></progress>`}
        ${film.tracks.length > 0 && html`<button onClick=${() => askDream(film.id, cursor, "sound", 0)}>Hear dream</button>`}
        <button aria-pressed=${painting} onClick=${() => setPainting(!painting)}>Paint mask</button>
        <label class="mask-choice">Mask <select value=${state.mask} onChange=${(e) => change({ ...state, mask: e.target.value })}>
          <option value="">none</option>
          ${[...new Set([state.mask, ...films.map((each) => each.name)])].filter(Boolean).map((name) => html`<option>${name}</option>`)}</select></label>
        <button class="primary" onClick=${queue}>Add to queue</button>
      </div>
      ${sound && html`<${DreamedSound} id=${sound.id} begin=${sound.begin} />`}
      <${Tries} tries=${tries} onBack=${(each) => { change({ settings: each.settings, keys: each.keys, mask: each.mask }); seek(each.seconds); }} />
      <${Timeline} film=${film} fields=${fields} settings=${state.settings} keys=${state.keys} cursor=${cursor} driven=${driven}
        history=${history} onSeek=${seek} onPasses=${(texts) => setOne("pass", texts.length ? texts : undefined)}
        onKeys=${(keys) => change({ ...state, keys: [...keys].sort((a, b) => a.at - b.at) })} />
      <${Exchange} text=${film.text} report=${report} onOpen=${(given) => send("POST", `/api/films/${film.id}/read`, { text: given })
        .then((found) => change({ ...state, ...found })).catch(report)} />` : html`<p class="welcome">Open a film, or drop one here.</p>`}
    </main>
    ${film && html`<${Settings} fields=${fields} networks=${begun.networks} atoms=${begun.atoms} settings=${state.settings}
      keys=${state.keys} made=${made} onMade=${onMade} onChange=${setOne} onReset=${() => change({ ...state, settings: {} })} />`}
    <div class="messages" role="status" aria-label="Messages">${messages.map((text) => html`<p>${text}
      <button aria-label="Dismiss" onClick=${() => setMessages((old) => old.filter((each) => each !== text))}>✕</button></p>`)}</div>
  </div>`;
}

const place = document.getElementById("app");
place.replaceChildren();
render(html`<${App} />`, place);
