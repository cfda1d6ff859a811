// All keys of the timeline as a table that can be edited.
import { Field, html } from "./html.js";

export const slug = (name) => name.replaceAll("-", "_");

export function Keys({ keys, fields, onKeys }) {
  const title = (name) => fields.find((field) => slug(field.name) === name)?.title ?? name;
  const set = (number, changed) => onKeys(keys.map((key, k) => (k === number ? { ...key, ...changed } : key)));
  const eases = (key) => ["linear", ...(key.setting === "motif" ? [] : ["smooth"]), "hold"];
  return html`<table aria-label="Keys"><thead><tr><th>Setting</th><th>Second</th><th>Value</th><th>Way to the next</th><td></td></tr></thead>
    <tbody>${keys.map((key, number) => html`<tr key=${number}>
      <td>${title(key.setting)}</td>
      <td><${Field} type="number" step="any" min="0" aria-label=${`Second of key ${number + 1}`} value=${key.at}
        onCommit=${(text) => text !== "" && set(number, { at: Number(text) })} /></td>
      <td><${Field} type="text" aria-label=${`Value of key ${number + 1}`} value=${key.value} onCommit=${(text) =>
        set(number, { value: key.setting === "motif" ? text : Number(text) })} /></td>
      <td><select aria-label=${`Ease of key ${number + 1}`} value=${key.ease ?? "linear"}
        onChange=${(e) => set(number, { ease: e.target.value })}>${eases(key).map((each) => html`<option>${each}</option>`)}</select></td>
      <td><button aria-label=${`Remove key ${number + 1}`} onClick=${() => onKeys(keys.filter((_, k) => k !== number))}>✕</button></td>
    </tr>`)}</tbody></table>`;
}
