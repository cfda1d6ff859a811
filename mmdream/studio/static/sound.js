// Four seconds around the cursor: source and dream, switched while they play.
import { html } from "./html.js";
import { nonce } from "./api.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import WaveSurfer from "./vendor/wavesurfer.js";

export function DreamedSound({ id, begin }) {
  const places = [useRef(null), useRef(null)], surfers = useRef([]);
  const [heard, setHeard] = useState("dream");
  const [playing, setPlaying] = useState(false);
  useEffect(() => {
    const made = ["source", "sound"].map((name, k) => WaveSurfer.create({
      container: places[k].current, url: `/api/dreams/${id}/${name}.wav`, height: 44, cspNonce: nonce(),
      waveColor: k ? "#c98f45" : "#7a7390", progressColor: k ? "#f2b35c" : "#b3acc9", cursorColor: "#fff",
    }));
    made[1].on("ready", () => made[1].play());
    made[1].on("play", () => { made[0].setTime(made[1].getCurrentTime()); made[0].play(); setPlaying(true); });
    made[1].on("pause", () => { made[0].pause(); setPlaying(false); });
    made[1].on("interaction", (at) => made[0].setTime(at));
    surfers.current = made;
    return () => made.forEach((each) => each.destroy());
  }, [id]);
  useEffect(() => {
    const [source, dream] = surfers.current;
    source?.setMuted(heard !== "source");
    dream?.setMuted(heard !== "dream");
  }, [heard, id]);
  return html`<section class="sound" aria-label="Sound at the cursor">
    <div class="head"><button onClick=${() => surfers.current[1].playPause()}>${playing ? "Pause sound" : "Play sound"}</button>
      <label><input type="radio" name="heard" checked=${heard === "source"} onChange=${() => setHeard("source")} /> Source sound</label>
      <label><input type="radio" name="heard" checked=${heard === "dream"} onChange=${() => setHeard("dream")} /> Dream sound</label>
      <small>four seconds from ${begin.toFixed(2)} s</small></div>
    <div ref=${places[0]} class="surfer"></div><div ref=${places[1]} class="surfer"></div>
  </section>`;
}
