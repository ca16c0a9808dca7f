/** The rows of a table, which stay up to date, and the form to write them. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { to } from "./address.js";
import { Pager } from "./channel.js";
import { count, shown } from "./format.js";
import { RowForm, textOf } from "./row_form.js";
import { follow } from "./server.js";
import { Card, Empty, html, Problem, useRead, Words } from "./ui.js";

const PAGE = 50;

export function Rows({ name }) {
  const after = useSignal([]);
  const changes = useSignal(0);
  const live = useSignal(false);
  const chosen = useSignal(undefined);
  const outcome = useSignal("");
  useEffect(() =>
    follow(`$admin:table?${name}`, () => changes.value++, {
      subscribed: () => live.value = true,
      failed: () => live.value = false,
    }), [name]);
  const params = { name, limit: PAGE, ...(after.value.length > 0 && { after: after.value.at(-1) }) };
  const { value, error, reload } = useRead("table", params, { inputs: [changes.value] });
  const { columns = [], writable, rows = [], keys = [] } = value ?? {};
  const numeric = columns.map((_, n) => isNumeric(rows.map((row) => row[n])));
  const choose = (row) => [chosen.value, outcome.value] = [row, ""];
  const done = (text) => {
    [chosen.value, outcome.value] = [undefined, text];
    reload();
  };
  return html`
      ${chosen.value &&
        html`
          <${RowForm} key=${JSON.stringify(chosen.value.id)} table=${name} columns=${writable} ...${chosen
            .value}
            done=${done} />
        `}
      <${Card} title="Rows" aside=${html`<span class="quiet">${
        value && live.value ? "live: changes appear at once" : ""
      }</span>`}>
      ${error?.status === 404
        ? html`<${Empty}>There is no table of this name. <a href=${to("tables")}>All tables</a><//>`
        : html`<${Problem} text=${error?.message} />`}
      ${writable &&
        html`<p class="row"><button type="button" onClick=${() =>
          choose({})}>New row</button><span role="status"
      class="quiet">${outcome.value}</span></p>`}
      ${value && rows.length === 0 &&
        html`<${Empty}>The table is empty. Rows appear here as soon as the app writes some.<//>`}
      ${rows.length > 0 && html`
        <div class="scroll" tabindex="0" role="group" aria-label="Rows">
          <table class="rows">
            <thead>
              <tr>
                ${writable && html`<th><span class="unseen">Change</span></th>`}
                ${columns.map((column, n) =>
                  html`
                    <th class=${numeric[n] ? "number" : ""}>
                      <${Words} text=${column} />
                    </th>
                  `
                )}
              </tr>
            </thead>
            <tbody>${rows.map((row, i) =>
              html`
                <tr key=${JSON.stringify(keys[i]) ?? i}>
                  ${writable && html`<td>${
                    keys[i] && html`<button type="button" onClick=${() =>
                      choose({
                        id: keys[i],
                        row: Object.fromEntries(columns.map((column, n) => [column, row[n]])),
                      })}>Edit</button>`
                  }</td>`}
                  ${row.map((cell, n) =>
                    html`
                      <td class=${numeric[n] ? "number" : ""}>
                        <${Cell} value=${cell} />
                      </td>
                    `
                  )}
                </tr>
              `
            )}</tbody>
          </table>
        </div>
      `}
      <${Pager} more=${value?.next} after=${after} />
    <//>
  `;
}

/** Whether a column has numbers only, which are aligned. */
function isNumeric(cells) {
  const given = cells.filter((cell) => cell !== null);
  return given.length > 0 &&
    given.every((cell) => typeof cell === "number" || cell.integer !== undefined || cell.real !== undefined);
}

function Cell({ value }) {
  if (value === null) return html`<span class="quiet">NULL</span>`;
  const bytes = value.bytes !== undefined && html`
    <span class="quiet">${count(value.bytes, "byte")}</span>
  `;
  const isText = typeof value === "string" || value.begins !== undefined || value.text !== undefined;
  return html`<bdi class=${isText ? "" : "mono"}>${shown(textOf(value), 200)}</bdi>${bytes}`;
}
