// The queue: what waits, what runs and how it looks, what is done.
import { html } from "./html.js";
import { send, text } from "./api.js";
import { useState } from "./vendor/hooks.js";

function left(seconds) {
  if (seconds === null) return "";
  return seconds < 90 ? `${Math.round(seconds)} s left` : `${Math.round(seconds / 60)} min left`;
}

function Record({ job, report }) {
  const [lines, setLines] = useState("");
  const read = (event) => event.target.open && text(`/api/jobs/${job.id}/record`).then(setLines).catch(report);
  return html`<details onToggle=${read}><summary>Events</summary><pre tabindex="0">${lines}</pre></details>`;
}

export function Jobs({ jobs, report }) {
  const act = (job, action) => send("POST", `/api/jobs/${job.id}/${action}`).catch(report);
  return html`<section class="jobs"><h2 id="jobs-title">Jobs</h2>
    ${!jobs.length && html`<p class="hint">Nothing is queued.</p>`}
    <ul role="list" aria-labelledby="jobs-title">${jobs.map((job) => html`<li key=${job.id} aria-label=${`${job.out} ${job.state}`}>
      <div class="job"><strong>${job.out}</strong> <span class=${`state ${job.state}`}>${job.state}</span>
        <span class="left">${job.state === "running" ? left(job.left) : ""}</span></div>
      ${job.frame > 0 && job.state !== "done" && html`<img class="newest" alt=${`Newest frame of ${job.out}`} src=${`/api/jobs/${job.id}/frame?v=${job.frame}`} />`}
      <progress aria-label="Progress" max="1" value=${job.share}></progress>
      ${job.message && html`<p class="error">${job.message}</p>`}
      <div class="buttons">
        ${["running", "waiting"].includes(job.state) && html`<button onClick=${() => act(job, "stop")}>Stop</button>`}
        ${["stopped", "failed"].includes(job.state) && html`<button onClick=${() => act(job, "resume")}>Resume</button>`}
        <button onClick=${() => act(job, "remove")}>Remove</button>
        <button aria-label="Move up" title="Move up" onClick=${() => act(job, "up")}>↑</button>
        <button aria-label="Move down" title="Move down" onClick=${() => act(job, "down")}>↓</button>
      </div>
      ${job.state === "done" && html`<div class="buttons"><a href=${`/api/jobs/${job.id}/film`} download>Download</a>
        <a href=${`/api/jobs/${job.id}/compare`} target="_blank" rel="noopener">Compare</a>
        <a href=${`/api/jobs/${job.id}/sheet`} target="_blank" rel="noopener">Contact sheet</a></div>`}
      <${Record} job=${job} report=${report} />
    </li>`)}</ul></section>`;
}
