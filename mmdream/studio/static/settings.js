// The settings in groups, each with its range, its default and a way back to it.
import { Field, html } from "./html.js";
import { Gallery, Sounds } from "./gallery.js";
import { useState } from "./vendor/hooks.js";

function Reset({ field, given, onChange }) {
  const changed = given !== undefined;
  return html`<button type="button" class="reset" disabled=${!changed} title=${`Default: ${field.default || "none"}`}
    aria-label=${`Reset ${field.title}`} onClick=${() => onChange(field.name, undefined)}>↺</button>`;
}

function Control({ field, given, onChange, id }) {
  const change = (value) => onChange(field.name, value);
  if (field.kind === "flag")
    return html`<input type="checkbox" id=${id} checked=${given === true}
      onChange=${(e) => change(e.target.checked ? true : undefined)} />`;
  if (field.kind === "choice")
    return html`<select id=${id} value=${given ?? field.default} onChange=${(e) =>
      change(e.target.value === field.default ? undefined : e.target.value)}>
      ${field.name === "preset" && html`<option value="">none</option>`}
      ${field.choices.map((each) => html`<option value=${each}>${each}</option>`)}
    </select>`;
  if (field.kind === "number") {
    const value = given ?? field.default;
    // An empty field is one that is being typed into.
    const set = (text) => text !== "" && change(Number(text) === Number(field.default) ? undefined : text);
    const ends = field.low === null || field.high === null ? {} : { min: field.low, max: field.high };
    return html`${"min" in ends && html`<input type="range" aria-label=${field.title} ...${ends} step=${field.step}
        value=${value} onInput=${(e) => set(e.target.value)} />`}
      <${Field} type="number" id=${id} ...${ends} step=${field.step} value=${value} onCommit=${set} />`;
  }
  if (field.kind === "texts")
    return html`<${Field} tag="textarea" id=${id} rows="1" value=${(given ?? []).join("\n")} placeholder="one a line" onCommit=${(text) => {
      const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
      change(lines.length ? lines : undefined);
    }} />`;
  return html`<${Field} type="text" id=${id} value=${given ?? ""} placeholder=${field.default} onCommit=${(text) => change(text.trim() || undefined)} />`;
}

function Row({ field, given, keyed, onChange }) {
  const id = `setting-${field.name}`;
  return html`<div class=${`setting ${given !== undefined ? "changed" : ""}`} title=${field.help}>
    <span class="name"><label for=${id}>${field.title}</label>${field.unit && html` <small>${field.unit}</small>`}
      ${keyed && html` <small class="keyed">has keys</small>`}</span>
    <span class="control"><${Control} field=${field} given=${given} onChange=${onChange} id=${id} /></span>
    <${Reset} field=${field} given=${given} onChange=${onChange} />
  </div>`;
}

function Section({ title, count, children }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details onToggle=${(e) => setOpen(e.currentTarget.open)}><summary>${title}${count > 0 && html` <small>${count} chosen</small>`}</summary>
    ${children(isOpen)}</details>`;
}

const toggle = (list, each) => (list.includes(each) ? list.filter((other) => other !== each) : [...list, each]);
const some = (list) => (list.length ? list : undefined);

export function Settings({ fields, networks, atoms, settings, keys, made, onMade, onChange, onReset }) {
  const net = settings.net ?? "dreamnet", soundNet = settings["sound-net"] ?? "melnet";
  const empty = { motifs: [], classes: [] }, known = networks[net] ?? empty, heard = networks[soundNet] ?? empty;
  const motifs = (settings.motif ?? "").split(",").filter((name) => known.motifs.includes(name));
  const targets = settings.target ?? [], sounds = settings["sound-target"] ?? [];
  const groups = [...new Set(fields.map((field) => field.group))];
  const keyed = new Set(keys.map((key) => key.setting));
  const shared = { made, onMade };
  return html`<aside class="settings"><div role="group" aria-label="Settings">
    <div class="head"><h2>Settings</h2>
      <button type="button" onClick=${onReset}>Reset all settings</button></div>
    <div class="setting"><label for="network">Network</label>
      <select id="network" value=${net}
        onChange=${(e) => onChange("net", e.target.value === "dreamnet" ? undefined : e.target.value)}>
        ${Object.keys(networks).filter((each) => networks[each].medium === "picture").map((each) => html`<option value=${each}>${each}</option>`)}
      </select></div>
    <${Gallery} title="Motifs" kind="motif" net=${net} names=${known.motifs} chosen=${motifs} ...${shared}
      onToggle=${(each) => onChange("motif", toggle(motifs, each).join(",") || undefined)} />
    <${Gallery} title="Classes" kind="class" net=${net} names=${known.classes} chosen=${targets} ...${shared}
      onToggle=${(each) => onChange("target", some(toggle(targets, each)))} />
    ${heard.classes.length > 0 && html`<${Section} title="Sounds" count=${sounds.length}>${(isOpen) => html`<${Sounds} net=${soundNet} names=${heard.classes}
      chosen=${sounds} atoms=${atoms} isOpen=${isOpen} ...${shared} onToggle=${(each) => onChange("sound-target", some(toggle(sounds, each)))} />`}<//>`}
    ${groups.map((group) => html`<details open><summary>${group}</summary>
      ${fields.filter((field) => field.group === group && field.name !== "net")
        .map((field) => html`<${Row} key=${field.name} field=${field} given=${settings[field.name]}
          keyed=${keyed.has(field.name.replaceAll("-", "_"))} onChange=${onChange} />`)}
    </details>`)}
  </div></aside>`;
}
