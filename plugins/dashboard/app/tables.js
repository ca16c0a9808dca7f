/** The tables of the app, with rows that stay up to date, and the database file. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { to } from "./address.js";
import { Pager } from "./channel.js";
import { bytes, count, shown } from "./format.js";
import { call, follow } from "./server.js";
import { Action, Ago, Card, Empty, Fact, html, Problem, useRead, Words } from "./ui.js";

const REFRESH_MS = 10_000;
const PAGE = 50;

export function Tables({ parts: [name] }) {
  const { value, error } = useRead("tables", {}, { everyMs: REFRESH_MS });
  const tables = value?.tables ?? [];
  return html`<h1>${name === undefined ? "Tables" : html`<${Words} text=${name} />`}</h1>
    <${Problem} text=${error?.message} />
    ${
    value && tables.length === 0 &&
    html`<${Empty}>The app has no tables. <code>store.migrate("app", ["CREATE TABLE …"])</code> creates them.<//>`
  }
    ${
    tables.length > 0 && html`<ul class="chips" aria-label="Tables">${
      tables.map((table) =>
        html`<li key=${table.name}><a href=${to("tables", [table.name])} aria-current=${
          table.name === name ? "page" : undefined
        }><${Words} text=${table.name} /></a></li>`
      )
    }</ul>`
  }
    ${name !== undefined && html`<${Rows} key=${name} name=${name} />`}
    ${
    name === undefined && html`
      <div class="grid halves">
        <${File} />
        <${Migrations} />
      </div>
    `
  }`;
}

function Rows({ name }) {
  const after = useSignal([]);
  const changes = useSignal(0);
  const live = useSignal(false);
  useEffect(() =>
    follow(`$admin:table?${name}`, () => changes.value++, {
      subscribed: () => live.value = true,
      failed: () => live.value = false,
    }), [name]);
  const params = { name, limit: PAGE, ...(after.value.length > 0 && { after: after.value.at(-1) }) };
  const { value, error } = useRead("table", params, { inputs: [changes.value] });
  return html`<${Card} title="Rows" aside=${html`<span class="quiet">${
    live.value ? "live: changes appear at once" : ""
  }</span>`}>
    <${Problem} text=${error?.message} />
    ${
    value && value.rows.length === 0 &&
    html`<${Empty}>The table is empty. Rows appear here as soon as the app writes some.<//>`
  }
    ${
    value && value.rows.length > 0 && html`
      <div class="scroll" tabindex="0" role="group" aria-label="Rows">
        <table class="rows">
          <thead>
            <tr>${value.columns.map((column) =>
              html`
                <th>
                  <${Words} text=${column} />
                </th>
              `
            )}</tr>
          </thead>
          <tbody>${value.rows.map((row, i) =>
            html`<tr key=${i}>${
              row.map((cell) =>
                html`
                  <td>
                    <${Cell} value=${cell} />
                  </td>
                `
              )
            }</tr>`
          )}</tbody>
        </table>
      </div>
    `
  }
    <${Pager} more=${value?.next} after=${after} />
  <//>`;
}

function Cell({ value }) {
  if (value === null) return html`<span class="quiet">NULL</span>`;
  if (typeof value === "object") return value.integer;
  return html`<bdi class=${typeof value === "number" ? "mono" : ""}>${shown(value, 200)}</bdi>`;
}

function File() {
  const { value, error, reload } = useRead("database", {}, { everyMs: REFRESH_MS });
  const backup = async () => {
    const { path, bytes: size } = await call("backup");
    reload();
    return `${path}, ${bytes(size)}`;
  };
  return html`<${Card} title="Database">
    <${Problem} text=${error?.message ?? value?.problem} />
    ${
    value && html`
      <dl class="facts">
        <${Fact} name="File"><span class="mono">${value.path}</span><//>
            <${Fact} name="Size">${value.bytes === undefined
              ? "in memory"
              : bytes(value.bytes)}${" "}${value.wal_bytes > 0 && html`
              <span class="quiet">and ${bytes(value.wal_bytes)} of changes not in it yet</span>
            `}<//>
            <${Fact} name="Last backup">${value.last_backup
              ? html`<${Ago} time=${value.last_backup.time} />, ${
                bytes(value.last_backup.bytes)
              } <span class="quiet mono">${value.last_backup.path}</span>`
              : "none"}<//>
          </dl><p><${Action} label="Back up now" run=${backup} /></p>
    `
  }
  <//>`;
}

function Migrations() {
  const { value } = useRead("database", {});
  return html`<${Card} title="Migrations" aside=${html`<span class="quiet">${
    count(value?.migrations.length ?? 0, "owner")
  }</span>`}>
    ${value?.migrations.length === 0 && html`<${Empty}>The file has seen no migration.<//>`}
    ${
    value?.migrations.length > 0 && html`
      <table>
        <thead>
          <tr>
            <th>Owner</th>
            <th class="number">Version</th>
            <th>Latest</th>
          </tr>
        </thead>
        <tbody>${value.migrations.map(({ owner, version, applied_at }) =>
          html`
            <tr>
              <td>
                <${Words} text=${owner} />
              </td>
              <td class="number">${version}</td>
              <td>
                <${Ago} time=${applied_at} />
              </td>
            </tr>
          `
        )}</tbody>
      </table>
    `
  }
  <//>`;
}
