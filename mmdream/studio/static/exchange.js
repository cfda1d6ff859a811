// The settings as a command line, Python or a schedule file: to copy, and to open one.
import { html } from "./html.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";

export function Exchange({ text, onOpen, report }) {
  const [given, setGiven] = useState(null), [copied, setCopied] = useState(""), file = useRef(null);
  useEffect(() => setCopied(""), [text]);
  const copy = (name) => navigator.clipboard.writeText(text[name])
    .then(() => setCopied(`The ${name === "command" ? "command line" : name} is copied.`))
    .catch(() => report(new Error("the browser does not let this page copy; mark the text and copy it yourself")));
  const read = (event) => {
    event.target.files[0]?.text().then(setGiven);
    event.target.value = "";
  };
  return html`<section class="copy"><label for="command">Command line</label>
    <textarea id="command" readonly rows="3" value=${text.command}></textarea>
    <div class="buttons"><button onClick=${() => copy("command")}>Copy command line</button>
      <button onClick=${() => copy("python")}>Copy Python</button>
      <button onClick=${() => copy("schedule")}>Copy schedule</button>
      <button aria-expanded=${given !== null} onClick=${() => setGiven(given === null ? "" : null)}>Open settings</button>
      <span role="status" aria-label="Copied" class="hint">${copied}</span></div>
    ${given !== null && html`<label for="given">A command line, Python or a schedule file, as this page copies them</label>
      <textarea id="given" rows="4" value=${given} onInput=${(e) => setGiven(e.target.value)}></textarea>
      <div class="buttons"><button onClick=${() => { onOpen(given); setGiven(null); }} disabled=${!given.trim()}>Use these settings</button>
        <button onClick=${() => file.current.click()}>From a file</button>
        <input ref=${file} type="file" hidden accept=".toml,.py,.txt,.sh" aria-label="Settings file" onChange=${read} /></div>`}
  </section>`;
}
