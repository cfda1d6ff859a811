// The page of live play: the picture and the sound as they come, and what is turned.

const byId = (id) => document.getElementById(id);
const canvas = byId("picture"), context = canvas.getContext("2d");
const values = {}, fields = {}, knobs = JSON.parse(localStorage.getItem("mmdream knobs") || "{}");
let motifs = [], learning = null, asked = {}, sending = false;

// Sound, when it is on: its clock says when a picture is due.
let audio = null, offset = null;
const due = [];

async function request(method, path, body) {
  const response = await fetch(path, { method, headers: { "X-Mmdream": "1" },
    body: method === "GET" ? undefined : JSON.stringify(body ?? {}) });
  const found = await response.json().catch(() => ({ error: `answered ${response.status}` }));
  if (!response.ok) throw new Error(found.error);
  return found;
}

const say = (text) => { byId("message").textContent = text; };

// Of what is turned while a request is under way only the newest goes next.
async function turn(name, value) {
  asked[name] = value;
  if (sending) return;
  sending = true;
  while (Object.keys(asked).length) {
    const now = asked;
    asked = {};
    try {
      await request("PUT", "/api/settings", now);
      say("");
    } catch (error) {
      say(error.message);
    }
  }
  sending = false;
}

function set(name, value) {
  const field = fields[name];
  if (!field) return;
  const steps = Math.round((Math.min(Math.max(value, field.low), field.high) - field.low) / field.step);
  values[name] = Number((field.low + steps * field.step).toFixed(4));
  byId(`slide-${name}`).value = values[name];
  byId(`value-${name}`).value = values[name];
  turn(name, values[name]);
}

function addSlider(field) {
  fields[field.name] = field;
  values[field.name] = field.value;
  const row = document.createElement("div");
  row.className = "row";
  const label = Object.assign(document.createElement("label"), { textContent: field.title, htmlFor: `slide-${field.name}` });
  const slide = Object.assign(document.createElement("input"), { type: "range", id: `slide-${field.name}`,
    min: field.low, max: field.high, step: field.step, value: field.value });
  const shown = Object.assign(document.createElement("output"), { id: `value-${field.name}`, value: field.value });
  const learn = Object.assign(document.createElement("button"), { className: "learn", textContent: "learn", hidden: true,
    title: "Press, and then move a MIDI knob" });
  slide.addEventListener("input", () => set(field.name, Number(slide.value)));
  learn.addEventListener("click", () => {
    document.querySelectorAll(".learning").forEach((each) => each.classList.remove("learning"));
    learning = learning === field.name ? null : field.name;
    learn.classList.toggle("learning", learning !== null);
  });
  row.append(label, slide, shown, learn);
  byId("sliders").append(row);
}

function setMotif(name) {
  byId("motif").value = name;
  turn("motif", name || null);
}

function reset() {
  for (const field of Object.values(fields)) {
    values[field.name] = field.value;
    byId(`slide-${field.name}`).value = byId(`value-${field.name}`).value = field.value;
    turn(field.name, null);
  }
  setMotif("");
}

async function begin() {
  for (;;) {
    try {
      const found = await request("GET", "/api/begin");
      found.fields.forEach(addSlider);
      motifs = found.motifs;
      for (const name of motifs) byId("motif").append(Object.assign(document.createElement("option"), { value: name, textContent: name }));
      say("");
      return;
    } catch (error) {
      say(error.message);
      await new Promise((after) => setTimeout(after, 500));
    }
  }
}

async function draw(jpeg) {
  const bitmap = await createImageBitmap(jpeg);
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  canvas.dataset.frames = Number(canvas.dataset.frames || 0) + 1;
}

function play(view, bytes) {
  if (audio === null || audio.state !== "running") return;
  const seconds = view.getFloat64(1, true), rate = view.getUint32(9, true), channels = view.getUint32(13, true);
  const levels = new Int16Array(bytes.slice(17)), length = levels.length / channels;
  const block = audio.createBuffer(channels, length, rate);
  for (let channel = 0; channel < channels; channel++) {
    const samples = block.getChannelData(channel);
    for (let k = 0; k < length; k++) samples[k] = levels[k * channels + channel] / 32768;
  }
  // What comes too late begins the clock anew.
  if (offset === null || seconds + offset < audio.currentTime) offset = audio.currentTime + 0.08 - seconds;
  const source = audio.createBufferSource();
  source.buffer = block;
  source.connect(audio.destination);
  source.start(seconds + offset);
}

function receive(bytes) {
  const view = new DataView(bytes);
  if (view.getUint8(0) === 83) return play(view, bytes);
  const seconds = view.getFloat64(1, true), jpeg = new Blob([bytes.slice(9)], { type: "image/jpeg" });
  if (offset === null || audio?.state !== "running") return draw(jpeg);
  due.push([seconds, jpeg]);
  if (due.length > 60) due.shift();
}

function drawDue() {
  if (offset !== null && due.length) {
    const heard = audio.currentTime - (audio.outputLatency || 0) - offset;
    let newest = null;
    while (due.length && due[0][0] <= heard) newest = due.shift();
    if (newest) draw(newest[1]);
  }
  requestAnimationFrame(drawDue);
}

function tell(state) {
  const beat = state.turned.tempo ? ` · ${state.turned.tempo.toFixed(0)} beats a minute` : "";
  byId("state").textContent = `${state.rate.toFixed(1)} frames a second · ${Math.round(state.delay * 1000)} ms behind · ${state.quality ?? ""}${beat}`;
}

function listen() {
  const socket = new WebSocket(`ws://${location.host}/api/live`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => (typeof event.data === "string" ? tell(JSON.parse(event.data)) : receive(event.data));
  socket.onclose = () => say("It has ended.");
}

function toggleSound() {
  if (audio === null) audio = new AudioContext();
  else if (audio.state === "running") audio.suspend();
  else audio.resume();
  offset = null;
  due.length = 0;
  setTimeout(() => {
    const on = audio.state === "running";
    byId("sound").textContent = on ? "Sound on" : "Sound off";
    byId("sound").setAttribute("aria-pressed", on);
  }, 150);
}

async function connectMidi() {
  if (!navigator.requestMIDIAccess) return say("This browser has no MIDI.");
  try {
    const access = await navigator.requestMIDIAccess();
    const hear = (input) => { input.onmidimessage = ({ data }) => turnKnob(input.name, data); };
    access.inputs.forEach(hear);
    access.onstatechange = () => access.inputs.forEach(hear);
    document.querySelectorAll(".learn").forEach((each) => { each.hidden = false; });
    byId("midi").setAttribute("aria-pressed", true);
    say(access.inputs.size ? "" : "No MIDI device is connected.");
  } catch (error) {
    say(`MIDI: ${error.message}`);
  }
}

export function turnKnob(device, [status, number, value]) {
  if ((status & 0xf0) === 0x90 && value > 0) return tap();
  if ((status & 0xf0) !== 0xb0) return;
  const knob = `${device} ${status & 15} ${number}`;
  if (learning) {
    for (const [other, name] of Object.entries(knobs)) if (name === learning) delete knobs[other];
    knobs[knob] = learning;
    localStorage.setItem("mmdream knobs", JSON.stringify(knobs));
    learning = null;
    document.querySelectorAll(".learning").forEach((each) => each.classList.remove("learning"));
  }
  const field = fields[knobs[knob]];
  if (field) set(field.name, field.low + (value / 127) * (field.high - field.low));
}

const tap = () => request("POST", "/api/tap").catch((error) => say(error.message));
const fullScreen = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());

const keys = {
  f: fullScreen,
  h: () => document.body.classList.toggle("hidden"),
  t: tap,
  ArrowUp: () => set("strength", values.strength + 0.05),
  ArrowDown: () => set("strength", values.strength - 0.05),
  ArrowRight: () => set("depth", values.depth + 0.05),
  ArrowLeft: () => set("depth", values.depth - 0.05),
  m: () => setMotif(["", ...motifs][(motifs.indexOf(byId("motif").value) + 2) % (motifs.length + 1)]),
  0: reset,
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const act = keys[event.key] ?? keys[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});
byId("motif").addEventListener("change", (event) => setMotif(event.target.value));
byId("sound").addEventListener("click", toggleSound);
byId("tap").addEventListener("click", tap);
byId("still").addEventListener("click", () => request("POST", "/api/tap", { stop: true }));
byId("midi").addEventListener("click", connectMidi);
byId("full").addEventListener("click", fullScreen);
byId("end").addEventListener("click", () => request("POST", "/api/end"));

await begin();
listen();
drawDue();
