/** Live queries: what they read, which writes woke them, and how long they take. */

import { useSignal } from "@preact/signals";
import { to } from "./address.js";
import { count, ms, number, shown } from "./format.js";
import { Ago, Card, Empty, Fact, html, Problem, useRead, Words } from "./ui.js";

const REFRESH_MS = 3_000;

const ORDERS = {
  totalMs: "time in all",
  slowestMs: "slowest run",
  wakes: "wakes",
  diffs: "diffs",
  instances: "instances",
};

export function Queries() {
  const { value, error } = useRead("queries", {}, { everyMs: REFRESH_MS });
  const order = useSignal("totalMs");
  const queries = [...value?.queries ?? []].sort((a, b) => b[order.value] - a[order.value]);
  return html`
    <div
      class="title"><h1>Live queries</h1><label class="inline">Sort by <select value=${order
        .value} onChange=${(
        { target },
      ) => order.value = target.value}>${Object.entries(ORDERS).map(([name, label]) =>
        html`<option value=${name}>${label}</option>`
      )}</select></label></div>
        <${Problem} text=${error?.message} />
        ${value && queries.length === 0 &&
          html`<${Empty}>No query is declared. <code>queries.define("orders", { sql: "SELECT …" })</code> declares one,
      and clients subscribe to <code>live:orders</code>.<//>`}
        <div class="grid halves">${queries.map((query) =>
          html`<${Query} key=${query.name} ...${query} />`
        )}</div>
  `;
}

function Query({ name, sql, declared, reads, instances, wakes, runs, diffs, totalMs, slowestMs, wokenBy }) {
  return html`
    <section class="card" aria-label=${`Query ${name}`}>
      <header><h2><a href=${to("query", [name])}><${Words} text=${shown(
        name,
        80,
      )} /></a></h2><span class="quiet">${declared ? "declared" : "SQL of a client"}</span></header>
      <pre class="sql"><bdi>${shown(sql.trim(), 600)}</bdi></pre>
      <dl class="facts">
        <${Fact} name="Reads">${reads.length === 0 ? "nothing yet" : html`<${Reads} reads=${reads} />`}<//>
          <${Fact} name="In use">${count(instances, "instance")}<//>
          <${Fact} name="Wakes">${number(wakes)}, ${count(diffs, "diff")} <span class="quiet">${wakes === 0
            ? "no write has woken it"
            : `${number(100 * Math.min(1, diffs / wakes))} % changed the result`}</span><//>
          <${Fact} name="Time">${ms(runs === 0 ? 0 : totalMs / runs)} a run, ${ms(
            slowestMs,
          )} the slowest, ${ms(totalMs)} in all<//>
          <${Fact} name="Woken by"><${WokenBy} cause=${wokenBy} /><//>
        </dl>
      </section>
  `;
}

const Reads = ({ reads }) =>
  reads.map(({ table, columns }) =>
    html`<div><a href=${to("tables", [table])}><${Words} text=${table} /></a>: <span class="mono words">${
      columns.join(", ") || "whether rows exist"
    }</span></div>`
  );

function WokenBy({ cause }) {
  if (cause === undefined) return html`<span class="quiet">no write so far</span>`;
  const tables = cause.tables.map(({ table, rows }) =>
    rows === undefined ? table : `${table} (${count(rows, "row")})`
  );
  const what = cause.everything ? "a change of the schema, or another process" : tables.join(", ");
  return html`<${Words} text=${what} /> <span class="quiet"><${Ago} time=${cause.time} /></span>`;
}

export function QueryView({ parts: [name = ""] }) {
  const all = useRead("queries", {}, { everyMs: REFRESH_MS });
  const plan = useRead("queries/explain", { name });
  const instances = useRead("queries/instances", { name, limit: 50 }, { everyMs: REFRESH_MS });
  const query = all.value?.queries.find((each) => each.name === name);
  if (plan.error?.status === 404) {
    return html`
      <h1>
        <${Words} text=${shown(name, 100)} />
      </h1>
      <${Empty}>No live query of this name is declared or in use. <a href=${to("queries")}>All queries</a><//>
    `;
  }
  return html`
    <div
      class="title"><h1><${Words} text=${shown(name, 100)} /></h1><a class="button" href=${to(
        "queries",
      )}>All queries</a></div>
    <div class="grid halves">
          ${query && html`<${Query} ...${query} />`}
          <${Card} title="How SQLite runs it">
            <${Problem} text=${plan.error?.message} />
            <pre class="sql">${plan.value?.plan.join("\n")}</pre>
            ${plan.value?.plan.some((line) => /^ *SCAN /.test(line)) &&
              html`
                <p
                  class="quiet">SCAN reads a whole table or index. An index on the columns of the condition makes it a SEARCH.</p>
              `}
          <//>
          <${Card} title="Instances" wide=${true} aside=${html`<span class="quiet">the slowest first</span>`}>
            <${Problem} text=${instances.error?.message} />
            ${instances.value?.instances.length === 0 && html`<${Empty}>No client subscribes to it now.<//>`}
            ${instances.value?.instances.length > 0 &&
              html`<${Instances} all=${instances.value.instances} />`}
          <//>
        </div>
  `;
}

function Instances({ all }) {
  return html`
    <div class="scroll" tabindex="0" role="group" aria-label="Instances">
      <table>
        <thead>
          <tr>
            <th>Parameters</th>
            <th class="number">Listeners</th>
            <th class="number">Rows</th>
            <th class="number">Wakes</th>
            <th class="number">Diffs</th>
            <th class="number">Latest run</th>
            <th class="number">Slowest</th>
            <th>Woken by</th>
          </tr>
        </thead>
        <tbody>${all.map(({ id, params, listeners, rows, wakes, diffs, tookMs, slowestMs, wokenBy }) =>
          html`
            <tr key=${id}>
              <td>
                <${Words} mono=${true} text=${shown(params, 200)} />
              </td>
              <td class="number">${number(listeners)}</td>
              <td class="number">${number(rows)}</td>
              <td class="number">${number(wakes)}</td>
              <td class="number">${number(diffs)}</td>
              <td class="number">${ms(tookMs)}</td>
              <td class="number">${ms(slowestMs)}</td>
              <td>
                <${WokenBy} cause=${wokenBy} />
              </td>
            </tr>
          `
        )}</tbody>
      </table>
    </div>
  `;
}
