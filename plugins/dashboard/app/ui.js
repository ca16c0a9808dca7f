/** The parts that all views are made of. All content is set as text, so that it never becomes markup. */

import { signal, useSignal } from "@preact/signals";
import htm from "htm";
import { h } from "preact";
import { useEffect } from "preact/hooks";
import { date, relative } from "./format.js";
import { call, connections } from "./server.js";

export const html = htm.bind(h);

/** Text of users, isolated from the direction of the text around it. */
export const Words = ({ text, mono }) =>
  html`<bdi class=${mono ? "mono words" : "words"}>${String(text).toWellFormed()}</bdi>`;

/** A part of a view with a heading. */
export const Card = ({ title, aside, wide, children }) =>
  html`<section class=${wide ? "card wide" : "card"} aria-label=${title}>
    <header><h2>${title}</h2>${aside}</header>
    ${children}
  </section>`;

/** What is shown where nothing is yet, and what to do next. */
export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

/** What went wrong. */
export const Problem = ({ text }) => text ? html`<p class="problem" role="alert">${text}</p>` : null;

/** A number with its name. */
export const Fact = ({ name, children }) =>
  html`
    <div>
      <dt>${name}</dt>
      <dd>${children}</dd>
    </div>
  `;

/** The time, ticking once a second while something shows it. */
export const now = signal(Date.now());
setInterval(() => now.value = Date.now(), 1_000);

/** A moment, relative to now. */
export const Ago = ({ time }) =>
  html`<time datetime=${new Date(time).toISOString()} title=${date(time)}>${
    relative(time, Math.max(now.value, time > now.value ? now.value : time))
  }</time>`;

/** A button that runs something, shows that it runs, and what came of it. */
export function Action({ label, run, danger, confirm, primary }) {
  const busy = useSignal(false);
  const asked = useSignal(false);
  const outcome = useSignal(undefined);

  async function click() {
    if (confirm && !asked.value) {
      asked.value = true;
      return;
    }
    asked.value = false;
    busy.value = true;
    try {
      outcome.value = { text: await run() ?? "Done" };
    } catch (error) {
      outcome.value = { text: error.message, wrong: true };
    }
    busy.value = false;
  }

  return html`<span class="action">
    <button type="button" class=${danger ? "danger" : primary ? "primary" : ""} disabled=${busy.value}
      onClick=${click} onBlur=${() => asked.value = false}>${asked.value ? confirm : label}</button>
    ${
    outcome.value &&
    html`<span role="status" class=${outcome.value.wrong ? "wrong" : "quiet"}>${outcome.value.text}</span>`
  }
  </span>`;
}

/**
 * Reads something from the API, and again after `everyMs`, after a reconnect, and when `inputs` change. The previous value
 * stays while the next one is read.
 */
export function useRead(method, params, { everyMs, inputs = [] } = {}) {
  const read = useSignal({ value: undefined, error: undefined, loading: true });
  const again = useSignal(0);
  const text = JSON.stringify(params);

  useEffect(() => {
    const abort = new AbortController();
    let timer;
    async function run() {
      if (!document.hidden || read.peek().value === undefined) {
        try {
          const value = await call(method, JSON.parse(text), abort);
          if (!abort.signal.aborted) read.value = { value, error: undefined, loading: false };
        } catch (error) {
          if (abort.signal.aborted) return;
          read.value = { ...read.peek(), error, loading: false };
        }
      }
      if (everyMs && !abort.signal.aborted) timer = setTimeout(run, everyMs);
    }
    if (method) run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [method, text, everyMs, again.value, connections.value, ...inputs]);

  return { ...read.value, reload: () => again.value++ };
}
