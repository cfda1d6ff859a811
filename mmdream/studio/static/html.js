// Elements as templates, without a build; fields that keep what is being typed.
import htm from "./vendor/htm.js";
import { useState } from "./vendor/hooks.js";
import { h } from "./vendor/preact.js";

export const html = htm.bind(h);

// A field whose text counts when it is left or Enter is pressed; until then no new drawing takes it away.
export function Field({ tag = "input", value, onCommit, ...rest }) {
  const [draft, setDraft] = useState(null);
  return h(tag, {
    ...rest,
    value: draft ?? value,
    onInput: (event) => setDraft(event.target.value),
    onChange: (event) => {
      setDraft(null);
      onCommit(event.target.value);
    },
  });
}
