/** The overview: what flows, what was refused, what went wrong. */

import { to } from "./address.js";
import { Chart } from "./chart.js";
import { LIMITS } from "./client.js";
import { figures, problem, series, shownNode, silent } from "./figures.js";
import { bytes, clock, count, duration, ms, nodeName, number, percent, shown } from "./format.js";
import { Ago, Card, Empty, html, Problem, useRead, Words } from "./ui.js";

const REFRESH_MS = 5_000;

/** A line of a chart. */
const line = (name, label, color = "--c1") => ({ name, label, color });

const CHARTS = [
  {
    title: "Connections",
    format: number,
    lines: [line("connections", "open"), line("clients", "signed in", "--c2")],
    note: (at) => count(at.subscriptions, "subscription"),
  },
  {
    title: "Messages /s",
    format: number,
    lines: [line("received", "in"), line("sent", "out", "--c2")],
    note: (at) => `${bytes(at.receivedChars)} in, ${bytes(at.sentChars)} out`,
  },
  {
    title: "Deliveries /s",
    format: number,
    lines: [line("deliveries", "deliveries"), line("publishes", "publications", "--c2")],
    note: (at) =>
      at.publishes > 0 ? `${number(at.deliveries / at.publishes)} receivers each` : "no publications now",
  },
  {
    title: "Publish latency",
    format: ms,
    lines: [line("publishP99Ms", "p99"), line("publishP50Ms", "p50", "--c2")],
    note: () => "from call to sockets",
  },
  {
    title: "Event loop",
    format: ms,
    lines: [line("lagMs", "longest delay", "--c3")],
    note: (at) => `${percent(at.cpu)} of a core`,
  },
  {
    title: "Memory",
    format: bytes,
    lines: [line("memoryBytes", "resident"), line("heapBytes", "heap", "--c2")],
    note: () => "of the process",
  },
];

const NO_FIGURES = { subscriptions: 0, receivedChars: 0, sentChars: 0, publishes: 0, deliveries: 0, cpu: 0 };

export function Overview() {
  const health = useRead("health", {}, { everyMs: REFRESH_MS });
  const info = useRead("info", {}, { everyMs: REFRESH_MS });
  const points = series();
  const at = points.at(-1) ?? NO_FIGURES;
  return html`
    <h1 class="unseen">Overview</h1>
        ${health.value?.problems.map((text) => html`<${Problem} text=${text} />`)}
        <${Problem} text=${problem.value} />
        <${NodeChoice} />
        <div class="grid charts">
          ${CHARTS.map(({ note, ...chart }) =>
            html`<${Chart} key=${chart.title} ...${chart} points=${points} note=${note(at)} />`
          )}
        </div>
        <div class="grid halves">
      <${Refusals} health=${health.value} />
      <${Limited} />
      <${Nodes} info=${info} />
      <${Workers} nodes=${info.value?.nodes ?? []} />
      <${Log} />
    </div>
  `;
}

function NodeChoice() {
  const nodes = [...figures.value.keys()];
  if (nodes.length < 2) return null;
  return html`<p class="row"><label>Node
    <select value=${shownNode.value} onChange=${({ target }) => shownNode.value = target.value}>
      <option value="">all ${nodes.length} nodes</option>
      ${nodes.map((node) => html`<option value=${node}>${nodeName(node)}</option>`)}
    </select></label></p>`;
}

const NAMES = {
  ok: "Sign-ins accepted",
  invalid_token: "Invalid tokens or keys",
  token_expired: "Expired tokens",
  unauthorized: "Without credentials",
  done: "Recovered everything",
  impossible: "Could not recover",
};

function Refusals({ health }) {
  if (health === undefined) return null;
  const rows = [
    ...health.limited.map(({ what, total }) => ["Limit", what, total]),
    ...health.refused.map(({ what, total }) => ["HTTP", `status ${what}`, total]),
    ...health.signed_in.map(({ what, total }) => ["Sign-in", NAMES[what] ?? what, total]),
    ...health.recovered.map(({ what, total }) => ["Recovery", NAMES[what] ?? what, total]),
  ];
  return html`<${Card} title="Limits and refusals" aside=${html`<span class="quiet">since the start</span>`}>
    ${
    rows.length === 0
      ? html`<${Empty}>Nothing was refused and no limit was hit. Limits are set by LIMIT_… in the settings.<//>`
      : html`
        <table>
          <tbody>${rows.map(([kind, what, total]) =>
            html`
              <tr>
                <th scope="row">${kind}</th>
                <td>
                  <${Words} text=${what} />
                </td>
                <td class="number">${number(total)}</td>
              </tr>
            `
          )}</tbody>
        </table>
      `
  }
  <//>`;
}

/** The connections that went beyond a limit last. */
function Limited() {
  const { value } = useRead("journal", { event: "limited" }, { everyMs: REFRESH_MS });
  const entries = value?.entries.slice(0, 10) ?? [];
  if (entries.length === 0) return null;
  return html`
    <${Card} title="Latest limits">
      <ul class="list">${entries.map(({ time, client, user, reason, count: times }) =>
        html`
          <li key=${`${client} ${reason} ${time}`}>
            <a href=${to("client", [client])}><${Words} text=${user || client.slice(0, 8)} /></a>
            <span>${LIMITS[reason]}, ${count(times, "time")}</span>
            <span class="quiet"><${Ago} time=${time} /></span>
          </li>
        `
      )}</ul>
      <//>
  `;
}

function Nodes({ info: { value, error } }) {
  return html`<${Card} title="Nodes">
    <${Problem} text=${error?.message} />
    ${
    Array.from(silent.value, ([node, time]) =>
      html`<${Problem} key=${node} text=${`No answer from ${nodeName(node)} since ${clock(time)}`} />`)
  }
    ${
    value && html`
      <div class="scroll" tabindex="0" role="group" aria-label="Nodes">
        <table>
          <thead>
            <tr>
              <th>Node</th>
              <th class="number">Clients</th>
              <th class="number">Users</th>
              <th class="number">Channels</th>
              <th class="number">Subscriptions</th>
              <th class="number">Up</th>
            </tr>
          </thead>
          <tbody>${value.nodes.map((node) =>
            html`
              <tr>
                <th scope="row"><span title=${node.uid}>${nodeName(node.name)}</span></th>
                <td class="number">${number(node.num_clients)}</td>
                <td class="number">${number(node.num_users)}</td>
                <td class="number">${number(node.num_channels)}</td>
                <td class="number">${number(node.num_subs)}</td>
                <td class="number">${duration(node.uptime * 1_000)}</td>
              </tr>
            `
          )}</tbody>
        </table>
      </div>
    `
  }
  <//>`;
}

function Workers({ nodes }) {
  const all = nodes.flatMap((node) => (node.workers ?? []).map((worker) => ({ ...worker, node: node.name })));
  if (all.length === 0) return null;
  return html`
    <${Card} title="Workers" wide>
      <div class="scroll" tabindex="0" role="group" aria-label="Workers">
        <table>
          <thead>
            <tr>
              <th>Worker</th>
              <th class="number">Clients</th>
              <th class="number">In</th>
              <th class="number">Out</th>
              <th class="number">Backlog</th>
              <th class="number">Heap</th>
              <th class="number">Behind</th>
              <th class="number">CPU</th>
              <th class="number">Replaced</th>
            </tr>
          </thead>
          <tbody>${all.map((each) =>
            html`
              <tr key=${`${each.node} ${each.worker}`}>
                <th scope="row">${nodes.length > 1 ? `${nodeName(each.node)} ` : ""}${each.worker}</th>
                <td class="number">${number(each.num_clients)}</td>
                <td class="number">${number(each.messages_received)}</td>
                <td class="number">${number(each.frames_sent)}</td>
                <td class="number">${bytes(each.queued_bytes + each.waiting_bytes)}</td>
                <td class="number">${bytes(each.heap_bytes)}</td>
                <td class="number">${ms(each.lag_ms)}</td>
                <td class="number">${duration(each.cpu_seconds * 1_000)}</td>
                <td class="number">${number(each.replaced)}</td>
              </tr>
            `
          )}</tbody>
        </table>
      </div>
      <//>
  `;
}

function Log() {
  const { value, error } = useRead("log", {}, { everyMs: REFRESH_MS });
  const records = value?.records.slice(-50).reverse() ?? [];
  return html`<${Card} title="Warnings and errors" wide=${true} aside=${
    value && html`<span class="quiet">${count(value.records.length, "record")}, the newest first</span>`
  }>
    <${Problem} text=${error?.message} />
    ${
    value && records.length === 0 &&
    html`<${Empty}>Nothing went wrong since the start. LOG_LEVEL=debug writes more to the log of the process.<//>`
  }
    <ul class="log">${
    records.map(({ id, time, level, plugin, message, fields }) =>
      html`
        <li key=${id} class=${level}>
          <p><span class="level">${level}</span><span class="mono quiet">${plugin}</span><${Words} text=${message} />
            <span class="quiet">${clock(time)}, <${Ago} time=${time} /></span></p>
          ${Object.keys(fields).length > 0 && html`<pre>${shown(fields, 600)}</pre>`}
        </li>
      `
    )
  }</ul>
  <//>`;
}
