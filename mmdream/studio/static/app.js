// The page: what is open, what is set, and what the studio tells.
import { html } from "./html.js";
import { get, listen, newest, send } from "./api.js";
import { Jobs } from "./jobs.js";
import { Settings } from "./settings.js";
import { DreamedSound } from "./sound.js";
import { Timeline } from "./timeline.js";
import { Viewer } from "./viewer.js";
import { useCallback, useEffect, useRef, useState } from "./vendor/hooks.js";
import { render } from "./vendor/preact.js";

const FRAME_HEIGHT = 540, SAVE_MS = 120, DREAM_MS = 220, UNDO_STEPS = 100, MAX_MESSAGES = 5;

function useLater() {
  const timer = useRef(null);
  return useCallback((work, wait) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(work, wait);
  }, []);
}

function Films({ films, open, onOpen, onAdd }) {
  return html`<section class="films"><h2 id="films-title">Films</h2>
    <ul aria-labelledby="films-title">${films.map((film) => html`<li key=${film.id}>
      <button aria-current=${open === film.id} onClick=${() => onOpen(film.id)}>${film.name}</button></li>`)}</ul>
    ${!films.length && html`<p class="hint">Drop a film here, or add one.</p>`}
    <label class="add">Add films <input type="file" aria-label="Add films" multiple
      onChange=${(e) => { onAdd([...e.target.files]); e.target.value = ""; }} /></label></section>`;
}

function Tries({ tries, onBack }) {
  return html`<section class="tries"><h2 id="tries-title">Tries</h2>
    <ul aria-labelledby="tries-title">${tries.map((each) => html`<li key=${each.id}>
      <button onClick=${() => onBack(each)} aria-label=${`Try at ${each.seconds.toFixed(2)} s`}>
        <img alt="" loading="lazy" src=${`/api/dreams/${each.id}/quick.jpg`} /></button></li>`)}</ul></section>`;
}

function Copy({ text }) {
  const copy = (what) => navigator.clipboard?.writeText(what);
  return html`<section class="copy"><label for="command">Command line</label>
    <textarea id="command" readonly rows="3" value=${text.command}></textarea>
    <div class="buttons"><button onClick=${() => copy(text.command)}>Copy command line</button>
      <button onClick=${() => copy(text.python)}>Copy Python</button>
      <button onClick=${() => copy(text.schedule)}>Copy schedule</button></div></section>`;
}

function App() {
  const [begun, setBegun] = useState(null);
  const [films, setFilms] = useState([]);
  const [jobs, setJobs] = useState([]);
  const [film, setFilm] = useState(null);
  const [cursor, setCursor] = useState(0);
  const [state, setState] = useState({ settings: {}, keys: [] });
  const [tries, setTries] = useState([]);
  const [source, setSource] = useState(null);
  const [dream, setDream] = useState({ state: "", url: null, seconds: null });
  const [sound, setSound] = useState(null);
  const [painting, setPainting] = useState(false);
  const [playing, setPlaying] = useState(null);
  const [messages, setMessages] = useState([]);
  const [past, setPast] = useState([]);
  const [future, setFuture] = useState([]);
  const frames = useRef(newest());
  const wanted = useRef({ picture: null, sound: null });
  const openId = useRef(null);
  const now = useRef(0); // The cursor, for what happens later.
  now.current = cursor;
  const saveLater = useLater(), dreamLater = useLater();

  const report = useCallback((error) => {
    const text = error?.message ?? String(error);
    if (error?.name !== "AbortError") setMessages((old) => [text, ...old.filter((each) => each !== text)].slice(0, MAX_MESSAGES));
  }, []);

  const onDream = useCallback((said) => {
    if (said.id !== wanted.current[said.kind]) return;
    if (said.state === "sound") setSound({ id: said.id, begin: said.seconds });
    else if (said.kind === "sound") {
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
      if (said.type === "tries" && said.film === openId.current) setTries(said.tries);
      if (said.type === "dream") onDream(said);
    }, (isOpen) => setMessages((old) => {
      const text = "The studio does not answer; what is being made goes on. Is `mmdream studio` still running?";
      return isOpen ? old.filter((each) => each !== text) : [text, ...old.filter((each) => each !== text)];
    }));
  }, []);

  const askDream = useCallback((id, at, kind = "picture", wait = DREAM_MS) => {
    const ask = () => send("POST", `/api/films/${id}/dream`, { kind, at })
      .then((made) => { wanted.current[kind] = made.id; if (kind === "picture") setDream((old) => ({ ...old, state: "dreaming" })); })
      .catch(report);
    if (wait) dreamLater(ask, wait);
    else ask();
  }, []);

  const show = useCallback((found, at) => {
    if (!found.rate) return;
    frames.current(`/api/films/${found.id}/frame?at=${at.toFixed(6)}&height=${FRAME_HEIGHT}`).then(({ blob }) => {
      setSource((old) => { if (old) URL.revokeObjectURL(old); return URL.createObjectURL(blob); });
    }).catch(report);
  }, []);

  const open = useCallback((id) => {
    get(`/api/films/${id}`).then((found) => {
      openId.current = id;
      setFilm(found);
      setState({ settings: found.state.settings, keys: found.state.keys });
      setTries(found.tries);
      setPast([]);
      setFuture([]);
      setSound(null);
      setPainting(false);
      setPlaying(null);
      setDream({ state: "", url: null, seconds: null });
      setCursor(found.state.cursor);
      show(found, found.state.cursor);
      if (found.rate) askDream(id, found.state.cursor);
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
    const last = Math.max(film.duration - (film.rate ? 1 / film.rate : 0), 0);
    at = Math.min(Math.max(at, 0), last);
    setCursor(at);
    setPlaying(null);
    show(film, at);
    if (film.rate) askDream(film.id, at);
  };

  const save = (next, quietly = false) => {
    setState(next);
    if (quietly) return;
    saveLater(() => send("PUT", `/api/films/${film.id}/state`, { ...next, cursor: now.current }).then((text) => {
      if (openId.current !== film.id) return;
      setFilm((old) => ({ ...old, text }));
      if (film.rate) askDream(film.id, now.current, "picture", 1);
    }).catch(report), SAVE_MS);
  };
  const change = (next, quietly) => {
    if (!quietly) {
      setPast((old) => [...old, state].slice(-UNDO_STEPS));
      setFuture([]);
    }
    save(next, quietly);
  };
  const history = {
    canUndo: past.length > 0, canRedo: future.length > 0,
    undo: () => { setFuture((old) => [state, ...old]); setPast((old) => old.slice(0, -1)); save(past.at(-1)); },
    redo: () => { setPast((old) => [...old, state]); setFuture((old) => old.slice(1)); save(future[0]); },
  };
  const setOne = (name, value) => {
    const settings = { ...state.settings };
    if (value === undefined) delete settings[name];
    else settings[name] = value;
    change({ ...state, settings });
  };

  useEffect(() => {
    const onKey = (event) => {
      if (/INPUT|TEXTAREA|SELECT|BUTTON|LI|SUMMARY|A|CANVAS/.test(event.target.tagName) || !film) return;
      if (event.key === " ") { event.preventDefault(); setPlaying((now) => (now ? null : { at: cursor })); }
      const step = { ArrowLeft: -1 / film.rate, ArrowRight: 1 / film.rate, PageUp: -1, PageDown: 1 }[event.key];
      if (step && film.rate) { event.preventDefault(); seek(cursor + step); }
      if ((event.ctrlKey || event.metaKey) && event.key === "z" && history.canUndo) history.undo();
      if ((event.ctrlKey || event.metaKey) && event.key === "y" && history.canRedo) history.redo();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  const drop = (event) => { event.preventDefault(); add([...event.dataTransfer.files]); };
  const keepMask = (blob) => {
    setPainting(false);
    send("PUT", `/api/films/${film.id}/mask`, blob ?? new Blob([]))
      .then((text) => { setFilm((old) => ({ ...old, text })); askDream(film.id, now.current); }).catch(report);
  };
  if (!begun) return html`<p class="loading" role="status" aria-label="Messages">${messages[0] ?? "The studio opens."}</p>`;
  const fields = begun.fields;
  const finished = film && jobs.find((job) => job.film === film.name && job.state === "done");
  const told = dream.state === "quick" || dream.state === "full" ? `${dream.state}, ${dream.seconds.toFixed(2)} s`
    : dream.state === "starting" ? "dreaming; the network is being loaded" : dream.state;
  return html`<div class="studio" onDragOver=${(e) => e.preventDefault()} onDrop=${drop}>
    <header><h1>mmdream <small>studio</small></h1><span class="folder">${begun.folder}</span></header>
    <aside class="side">
      <${Films} films=${films} open=${film?.id} onOpen=${open} onAdd=${add} />
      <${Jobs} jobs=${jobs} report=${report} />
    </aside>
    <main>${film ? html`
      <${Viewer} film=${film} source=${source} dream=${dream.url} painting=${painting} onMask=${keepMask}
        playing=${playing} result=${finished ? `/api/jobs/${finished.id}/film` : null}
        onPlayed=${(at, error, ended) => { if (error) { report(error); setPlaying(null); } else setCursor(at); if (ended) setPlaying(null); }} />
      <div class="transport">
        <button class="play" onClick=${() => (playing ? (setPlaying(null), seek(cursor)) : setPlaying({ at: cursor }))}>${playing ? "Pause" : "Play"}</button>
        <input type="range" class="time" aria-label="Time" min="0" max=${film.duration} step=${film.rate ? 1 / film.rate : 0.01}
          value=${cursor} onInput=${(e) => seek(Number(e.target.value))} onKeyDown=${(e) => {
            const step = { PageUp: 1, PageDown: -1 }[e.key];
            if (step) { e.preventDefault(); seek(cursor + step); }
          }} />
        <input type="number" aria-label="Time in seconds" min="0" max=${film.duration} step="any" value=${cursor.toFixed(3)}
          onChange=${(e) => e.target.value !== "" && seek(Number(e.target.value))} />
        <span role="status" aria-label="Dream state" class=${`dream-state ${dream.state}`}>${told}</span>
        ${["quick", "dreaming"].includes(dream.state) && dream.share > 0 && html`<progress aria-label="As in the film" max="1" value=${dream.share}></progress>`}
        ${film.tracks.length > 0 && html`<button onClick=${() => askDream(film.id, cursor, "sound", 0)}>Hear dream</button>`}
        <button aria-pressed=${painting} onClick=${() => setPainting(!painting)}>Paint mask</button>
        <button class="primary" onClick=${() => send("POST", `/api/films/${film.id}/job`).then(setJobs).catch(report)}>Add to queue</button>
      </div>
      ${sound && html`<${DreamedSound} id=${sound.id} begin=${sound.begin} />`}
      <${Tries} tries=${tries} onBack=${(each) => { change({ settings: each.settings, keys: each.keys }); seek(each.seconds); }} />
      <${Timeline} film=${film} fields=${fields} keys=${state.keys} cursor=${cursor} history=${history} onSeek=${seek}
        onKeys=${(keys, quietly) => change({ ...state, keys: quietly ? keys : [...keys].sort((a, b) => a.at - b.at) }, quietly)} />
      <${Copy} text=${film.text} />` : html`<p class="welcome">Open a film, or drop one here.</p>`}
    </main>
    ${film && html`<${Settings} fields=${fields} networks=${begun.networks} settings=${state.settings} keys=${state.keys}
      onChange=${setOne} onReset=${() => change({ settings: {}, keys: state.keys })} />`}
    <div class="messages" role="status" aria-label="Messages">${messages.map((text) => html`<p>${text}
      <button aria-label="Dismiss" onClick=${() => setMessages((old) => old.filter((each) => each !== text))}>✕</button></p>`)}</div>
  </div>`;
}

const place = document.getElementById("app");
place.replaceChildren();
render(html`<${App} />`, place);
