/** The tables of the app, and the database file. */

import { to } from "./address.js";
import { bytes, count } from "./format.js";
import { Rows } from "./rows.js";
import { call } from "./server.js";
import { Action, Ago, Card, Empty, Fact, html, Problem, useRead, Words } from "./ui.js";

const REFRESH_MS = 10_000;

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
  if (value === undefined) return null;
  return html`<${Card} title="Migrations" aside=${html`<span class="quiet">${
    count(value.migrations.length, "owner")
  }</span>`}>
    ${value.migrations.length === 0 && html`<${Empty}>The file has seen no migration.<//>`}
    ${
    value.migrations.length > 0 && html`
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
