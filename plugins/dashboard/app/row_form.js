/** The form to insert, change and delete a row of a table. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { count } from "./format.js";
import { call } from "./server.js";
import { Action, Card, html, Problem, Words } from "./ui.js";

/** What a field may hold. */
const KINDS = { keep: "", text: "text", number: "number", null: "NULL", base64: "bytes, as base64" };

/** Returns a value of a row as text. */
export function textOf(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value);
  if (value.text !== undefined) {
    return new TextDecoder().decode(Uint8Array.from(atob(value.text), (c) => c.charCodeAt(0)));
  }
  return value.integer ?? value.real ?? value.begins ?? "";
}

/** Returns the text of a field at first; none for a value of which only the beginning is known. */
const firstText = (value) => value?.bytes === undefined ? textOf(value) : "";

/** Returns a typed text with the line breaks that the value has, since browsers return all of them as LF. */
function withBreaks(typed, before) {
  const [only, other] = new Set(before.match(/\r\n|\r|\n/g));
  return only === undefined || other !== undefined ? typed : typed.replaceAll("\n", only);
}

/** Returns what the API takes for a field. */
function valueOf(column, { kind, text }) {
  if (kind === "null") return null;
  if (kind === "base64") return { base64: text.trim() };
  if (kind === "text") return text;
  const value = text.trim();
  if (/^-?\d+$/.test(value) && !Number.isSafeInteger(Number(value))) return { integer: value };
  if (value === "" || !Number.isFinite(Number(value))) throw new Error(`${column} must be a number`);
  return Number(value);
}

/** `row` has the values by column, and `id` is its key; without them, a row is inserted. */
export function RowForm({ table, columns, id, row, done }) {
  const fields = useSignal(new Map());
  const problem = useSignal("");
  const form = useRef();
  useEffect(() => form.current.querySelector("input, textarea")?.focus(), []);
  const isNew = row === undefined;
  const set = (column, field) => {
    const before = fields.value.get(column) ?? { kind: "keep", text: firstText(row?.[column]) };
    fields.value = new Map(fields.value).set(column, { ...before, ...field });
  };
  const write = async (method, params, text) => {
    await call(`table/${method}`, { name: table, ...params });
    done(text);
  };
  const save = async (event) => {
    event.preventDefault();
    try {
      const given = [...fields.value].filter(([, { kind }]) => kind !== "keep");
      const values = Object.fromEntries(given.map(([column, field]) => [column, valueOf(column, field)]));
      if (isNew) await write("insert", { values }, "Inserted");
      else await write("update", { key: id, values }, "Changed");
    } catch (error) {
      problem.value = error.message;
    }
  };
  return html`
    <${Card} title=${isNew ? "New row" : "Change the row"}>
      <form class="fields" ref=${form} onSubmit=${save}>
        ${columns.map((column) =>
          html`
            <${Field} key=${column} column=${column} value=${row?.[column]} isNew=${isNew}
              field=${fields.value.get(column)} set=${set} />
          `
        )}
        <${Problem} text=${problem.value} />
        <p class="row"><button class="primary">${isNew ? "Insert" : "Save"}</button>
          <button type="button" onClick=${() => done("")}>Cancel</button>
          ${!isNew &&
            html`
              <${Action} label="Delete the row" confirm="Really delete it?" danger=${true}
                run=${() => write("delete", { key: id }, "Deleted")} />
            `}</p>
      </form>
      <//>
  `;
}

/** A value and its kind. Fields that are not touched are not written. */
function Field({ column, value, isNew, field = { kind: "keep", text: firstText(value) }, set }) {
  const typed = typeof value === "number" || value?.integer !== undefined ? "number" : "text";
  const input = ({ target }) =>
    set(column, {
      text: withBreaks(target.value, firstText(value)),
      ...(["keep", "null"].includes(field.kind) && { kind: typed }),
    });
  const cut = value?.bytes !== undefined && field.kind === "keep"
    ? `${count(value.bytes, "byte")}; what you type replaces them`
    : "";
  // A single line would lose the line breaks of a text when another part of it is changed.
  const Line = /[\r\n]/.test(firstText(value)) ? "textarea" : "input";
  return html`
    <div class="row">
      <label
        class="grow"><${Words} text=${column} /><${Line} class="mono" spellcheck=${false} autocomplete="off"
        value=${field.kind === "null" ? "" : field.text} placeholder=${cut} onInput=${input} /></label>
      <label>Kind<select value=${field.kind} aria-label=${`Kind of ${column}`} onChange=${({ target }) =>
        set(column, { kind: target.value })}>${Object.entries(KINDS).map(([kind, label]) =>
          html`<option value=${kind}>${kind === "keep" ? isNew ? "default" : "unchanged" : label}</option>`
        )}</select></label>
    </div>
  `;
}
