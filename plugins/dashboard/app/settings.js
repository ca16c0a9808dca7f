/** The settings in force, and the flight recorder. */

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { bytes } from "./format.js";
import { at, call, key } from "./server.js";
import { Action, Ago, Card, Empty, Fact, html, Problem, useRead, Words } from "./ui.js";

const REFRESH_MS = 3_000;

export function Settings() {
  const { value, error } = useRead("settings", {});
  const wanted = useSignal("");
  const lines = (value?.settings ?? []).filter((line) =>
    line.toLowerCase().includes(wanted.value.toLowerCase())
  );
  return html`<h1>Settings</h1>
    ${
    error?.code === "not_available"
      ? html`<${Empty}>This program does not tell its settings.<//>`
      : html`<${Problem} text=${error?.message} />`
  }
    ${
    value && html`<${Card} title="In force" aside=${html`<span class="quiet">secrets are hidden</span>`}>
      <label>Filter <input type="search" value=${wanted.value} onInput=${({ target }) =>
      wanted.value = target.value} placeholder="a name or a value" /></label>
      <ul class="mono lines">${
      lines.map((line) =>
        html`
          <li>
            <${Words} text=${line} />
          </li>
        `
      )
    }</ul>
      ${lines.length === 0 && html`<${Empty}>No setting has this text.<//>`}
    <//>`
  }`;
}

export function Recorder() {
  const { value, error, reload } = useRead("recorder", {}, { everyMs: REFRESH_MS });
  const minutes = useRef();
  const start = async () => {
    await call("recorder/start", { seconds: Math.round(Number(minutes.current.value) * 60) });
    reload();
    return "Recording";
  };
  const stop = async () => {
    await call("recorder/stop");
    reload();
    return "Stopped";
  };
  return html`
    <h1>Flight recorder</h1>
        <p
      class="quiet prose">Records what all clients of this node do, on disk and within a bound: the oldest is dropped. Secrets are removed. Start it,
          repeat what goes wrong, and download it for a bug report. While it runs, each message costs more; <code>alwaysRecord</code>, an option of the plugin <code>trace</code>, starts it with the server.</p>
        ${error?.code === "not_available"
          ? html`<${Empty}>This program has no flight recorder: <code>trace({ recordFile })</code>.<//>`
          : html`<${Problem} text=${error?.message} />`}
        ${value && html`
          <${Card} title=${value.running ? "Recording" : "Not recording"}>
            <dl class="facts">
              <${Fact} name="Ends">${value.until
                ? html`<${Ago} time=${value.until} />`
                : value.running
                ? "when it is stopped"
                : "–"}<//>
                  <${Fact} name="On disk">${bytes(value.bytes)} <span class="quiet">at most ${bytes(
                    value.maxBytes,
                  )}</span><//>
                </dl>
                <div class="row">
                  <label>Minutes <input ref=${minutes} type="number" min="1" max="1440" defaultValue="10" /></label>
                  <${Action} label=${value.running ? "Start again" : "Start"} primary=${true} run=${start} />
                  ${value.running && html`<${Action} label="Stop" run=${stop} />`}
                  <${Action} label="Download" run=${download} />
                </div>
              <//>
        `}
  `;
}

/** Fetches the recording with the key, which a link could not send. */
async function download() {
  const response = await fetch(at(`${document.body.dataset.api}/trace/recording`), {
    headers: key.value === "" ? {} : { "x-api-key": key.value },
  });
  if (!response.ok) throw new Error(`The server answered ${response.status}`);
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = `plugboard-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return "Downloaded";
}
