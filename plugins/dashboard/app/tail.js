/** The tail of a channel, of a client, or of everything: pause, filter, collapse, copy. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { open, to } from "./address.js";
import { count, number, preciseClock, relative, shown } from "./format.js";
import { Json, parsed } from "./json.js";
import { follow } from "./server.js";
import { Action, Card, Empty, html, now, Problem, Words } from "./ui.js";

/** How many events are kept, and how many are drawn. */
const MAX_KEPT = 5_000;
const MAX_DRAWN = 100;

/** How often new events are drawn. */
const REDRAW_MS = 250;

/** What each event means, and its direction. */
const EVENTS = {
  open: ["connects", "in"],
  message: ["sends", "in"],
  subscribe: ["subscribes to", "in"],
  unsubscribe: ["leaves", "in"],
  publish: ["publishes to", "in"],
  published: ["published in", "server"],
  delivery: ["delivered by", "out"],
  recovered: ["recovers", "in"],
  close: ["disconnects", "in"],
};

const DIRECTIONS = { "": "both directions", in: "from clients", out: "to clients", server: "of the server" };

const TIMES = {
  clock: (event) => preciseClock(event.time),
  relative: (event) => relative(event.time, Math.max(now.value, event.time)),
  previous: (event, before) => before === undefined ? "first" : `+${number(event.time - before.time)} ms`,
};

export function Tail({ query }) {
  const target = {};
  for (const name of ["channel", "client"]) if (query.get(name)) target[name] = query.get(name);
  return html`<${Stream} key=${JSON.stringify(target)} target=${target} />`;
}

function Stream({ target }) {
  const events = useSignal([]);
  const paused = useSignal(undefined);
  const leftOut = useSignal(0);
  const problem = useSignal("");
  const text = useSignal("");
  const type = useSignal("");
  const direction = useSignal("");
  const collapse = useSignal(true);
  const times = useSignal("clock");
  const chosen = useSignal(undefined);
  const counter = useRef(0);

  useEffect(() => {
    let waiting = [];
    const end = follow(`$admin:tail?${JSON.stringify(target)}`, (batch) => {
      for (const event of batch.events) waiting.push({ ...event, id: ++counter.current });
      leftOut.value += batch.leftOut ?? 0;
    }, {
      failed: (reason) => problem.value = `The tail is refused: ${reason}`,
      subscribed: () => problem.value = "",
    });
    const timer = setInterval(() => {
      if (waiting.length === 0) return;
      events.value = [...events.peek(), ...waiting].slice(-MAX_KEPT);
      waiting = [];
    }, REDRAW_MS);
    return () => {
      clearInterval(timer);
      end();
    };
  }, []);

  const all = paused.value ?? events.value;
  const wanted = text.value.toLowerCase();
  const matching = all.filter((event) =>
    (type.value === "" || event.event === type.value) &&
    (direction.value === "" || EVENTS[event.event]?.[1] === direction.value) &&
    (wanted === "" || lineOf(event).toLowerCase().includes(wanted))
  );
  const drawn = latest(matching, collapse.value);
  const copy = async () => {
    if (navigator.clipboard === undefined) {
      throw new Error("Browsers copy only over HTTPS, or from this machine");
    }
    await navigator.clipboard.writeText(matching.map(lineOf).join("\n"));
    return `${count(matching.length, "line")} copied`;
  };
  const what = target.channel ?? target.client;

  return html`
    <div class="title"><h1>Tail of ${what === undefined ? "everything" : html`<${Words} text=${what} />`}</h1>
          ${what !== undefined && html`<a class="button" href=${to("tail")}>Everything</a>`}</div>
    <${Target} target=${target} />
    <${Problem} text=${problem.value} />
    <div class="card">
      <div class="row">
        <button type="button" class="primary" aria-pressed=${paused.value !== undefined}
          onClick=${() =>
            paused.value = paused.value === undefined ? events.value : undefined}>${paused.value === undefined
            ? "Pause"
            : "Go on"}</button>
        <label
          class="grow">Filter <input type="search" value=${text.value} onInput=${({ target }) =>
            text.value = target.value} placeholder="a name, or a part of the payload" /></label>
        <label>Event <select value=${type.value} onChange=${({ target }) =>
          type.value = target.value}><option value="">all</option>${Object.keys(EVENTS).map((name) =>
            html`<option>${name}</option>`
          )}</select></label>
        <label>Direction <select value=${direction.value} onChange=${({ target }) =>
          direction.value = target.value}>${Object.entries(DIRECTIONS).map(([name, label]) =>
            html`<option value=${name}>${label}</option>`
          )}</select></label>
        <label>Times <select value=${times.value} onChange=${({ target }) => times.value = target.value}>
              <option value="clock">clock</option><option value="relative">relative</option><option value="previous">since the previous</option></select></label>
        <label
          class="check"><input type="checkbox" checked=${collapse.value} onChange=${({ target }) =>
            collapse.value = target.checked} /> Collapse repeats</label>
        <${Action} label="Copy as lines" run=${copy} />
        <button type="button" onClick=${() =>
          [events.value, paused.value, leftOut.value] = [[], undefined, 0]}>Clear</button>
      </div>
      <p class="quiet" role="status">${count(matching.length, "event")}${paused.value !== undefined
        ? `, paused, ${number(events.value.length - paused.value.length)} newer`
        : ""}${leftOut.value > 0
        ? `, ${number(leftOut.value)} left out because there were too many`
        : ""}${matching.length > MAX_DRAWN ? `, at most ${MAX_DRAWN} rows are shown` : ""}</p>
    </div>
    <${Card} title="Events" aside=${html`<span class="quiet">the newest first; choose one to see it whole</span>`}>
          ${drawn.length === 0 && problem.value === "" &&
            html`<${Empty}>${
              all.length === 0
                ? "Nothing has happened yet. Events appear here as soon as a client does something."
                : "No event matches the filter."
            }<//>`}
          <ol class="log events">${drawn.map(({ event, times: repeats }) =>
            html`
              <${Row} key=${event.id} event=${event} repeats=${repeats} time=${times.value} chosen=${chosen}
                all=${all} />
            `
          )}</ol>
        <//>
  `;
}

/** The form that chooses what to follow. */
function Target({ target }) {
  const form = useRef();
  const submit = (event) => {
    event.preventDefault();
    const { channel, client } = form.current.elements;
    open(to("tail", [], { channel: channel.value, client: client.value.trim() }));
  };
  return html`
    <form class="card row" ref=${form} onSubmit=${submit}>
      <label
        class="grow">Channel <input name="channel" defaultValue=${target.channel ??
          ""} placeholder="all" autocomplete="off" spellcheck=${false} /></label>
      <label
        class="grow">Connection <input name="client" defaultValue=${target.client ??
          ""} placeholder="all" autocomplete="off" spellcheck=${false} /></label>
      <button>Follow</button>
    </form>
  `;
}

function Row({ event, repeats, time, chosen, all }) {
  const isChosen = chosen.value === event.id;
  const [verb, direction] = EVENTS[event.event] ?? [event.event, "server"];
  const previous = TIMES[time] === TIMES.previous ? all[all.indexOf(event) - 1] : undefined;
  return html`<li class=${isChosen ? "chosen" : ""}>
    <button type="button" class="event" aria-expanded=${isChosen} onClick=${() =>
    chosen.value = isChosen ? undefined : event.id}>
      <time class="mono quiet">${TIMES[time](event, previous)}</time>
      <span class=${`direction ${direction}`} title=${DIRECTIONS[direction]}>${
    { in: "→", out: "←", server: "•" }[direction]
  }</span>
      <span class="line"><b>${event.event}</b>${
    event.client && html`
      <span class="mono">${event.client.slice(0, 8)}</span>
    `
  }
        <span class="quiet">${verb}</span>${
    event.channel && html`
      <${Words} text=${event.channel} />
    `
  }</span>
      <span class="mono quiet cut"><bdi>${shown(event.detail.data ?? event.detail, 160)}</bdi></span>
      ${repeats > 1 && html`<span class="badge">×${number(repeats)}</span>`}
    </button>
    ${isChosen && html`<${Whole} event=${event} all=${all} />`}
  </li>`;
}

/** An event with all details, compared with the message before in the same channel. */
function Whole({ event, all }) {
  const { data, ...rest } = event.detail;
  const before = all.slice(0, all.indexOf(event)).findLast((each) =>
    each.event === event.event && each.channel === event.channel && each.detail.data !== undefined
  );
  const marks = data !== undefined && before !== undefined
    ? { value: parsed(before.detail.data) }
    : undefined;
  return html`<div class="whole">
    ${data !== undefined && html`<${Json} value=${parsed(data)} before=${marks} open=${4} />`}
    ${Object.keys(rest).length > 0 && html`<${Json} value=${rest} open=${2} />`}
    <p>${event.channel && html`<a href=${to("channel", [event.channel])}>Channel</a>`}
      ${event.client && html`<a href=${to("client", [event.client])}>Connection</a>`}
      ${
    event.channel && data !== undefined &&
    html`<a href=${to("send", [], { channel: event.channel, data })}>Send again</a>`
  }</p>
    ${marks && html`<p class="quiet">Marked: what differs from the message before.</p>`}
  </div>`;
}

/** Returns the latest rows, the newest first. Neighbours that differ only in their time are one. */
function latest(events, collapse) {
  const rows = [];
  for (let i = events.length - 1; i >= 0; i--) {
    const event = events[i];
    const last = rows.at(-1);
    if (collapse && last !== undefined && alike(last.event, event)) last.times++;
    else if (rows.length === MAX_DRAWN) break;
    else rows.push({ event, times: 1 });
  }
  return rows;
}

function alike(a, b) {
  if (a.event !== b.event || a.channel !== b.channel || a.client !== b.client) return false;
  const [one, other] = [a.detail.data, b.detail.data];
  return one === undefined && other === undefined
    ? JSON.stringify(a.detail) === JSON.stringify(b.detail)
    : one === other;
}

/** The lines of events, made once. */
const lines = new WeakMap();

function lineOf(event) {
  let line = lines.get(event);
  if (line === undefined) {
    const { id: _id, ...rest } = event;
    lines.set(event, line = JSON.stringify(rest));
  }
  return line;
}
