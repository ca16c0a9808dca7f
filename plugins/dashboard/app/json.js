/** JSON as a tree, with what has changed since the value before. */

import { number, shown } from "./format.js";
import { html } from "./ui.js";

/** How many members of a list or an object are shown at once, and how deep. */
const MAX_MEMBERS = 100;
const MAX_DEPTH = 24;
const MAX_TEXT = 1_000;

const isObject = (value) => typeof value === "object" && value !== null;

/** Returns the value of a JSON text, or the text itself. */
export function parsed(text) {
  if (typeof text !== "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Whether two values are equal. */
export function same(a, b) {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name]));
}

/** Texts up to this length are shown in one line. */
const MAX_LINE = 120;

/** A payload: in one line if it is short, else as a tree. */
export function Payload({ data }) {
  const text = JSON.stringify(data);
  return text.length <= MAX_LINE
    ? html`<bdi class="json">${text.toWellFormed()}</bdi>`
    : html`<${Json} value=${data} open=${1} />`;
}

/** A value. `before` is the one to compare with; without it nothing is marked. */
export function Json({ value, before, open = 2 }) {
  return html`
    <div class="json">
      <${Value} value=${value} before=${before} open=${open} depth=${0} />
    </div>
  `;
}

function Value({ value, before, open, depth }) {
  if (!isObject(value)) return html`<${Leaf} value=${value} before=${before} />`;
  const isList = Array.isArray(value);
  const names = Object.keys(value);
  const [from, to] = isList ? ["[", "]"] : ["{", "}"];
  if (names.length === 0) return html`<span class="quiet">${from}${to}</span>`;
  if (depth >= MAX_DEPTH) return html`<span class="quiet">${from} … ${to}</span>`;
  const comparable = before !== undefined && isObject(before.value) && Array.isArray(before.value) === isList;
  const gone = comparable && !isList
    ? Object.keys(before.value).filter((name) => !Object.hasOwn(value, name))
    : [];
  const compared = (name) => {
    if (before === undefined) return undefined;
    return comparable && Object.hasOwn(before.value, name)
      ? { value: before.value[name] }
      : { missing: true };
  };
  return html`
    <details open=${depth < open}>
      <summary>${from}<span class="quiet"> ${number(names.length)} </span>${to}</summary>
      <ul>
        ${names.slice(0, MAX_MEMBERS).map((name) => {
          const old = compared(name);
          const changed = old !== undefined && (old.missing || !same(old.value, value[name]));
          return html`<li key=${name} class=${
            changed ? old.missing ? "added" : "changed" : ""
          }><bdi class="name">${name.toWellFormed()}</bdi>: <${Value}
        value=${value[name]} before=${changed ? old : undefined} open=${open} depth=${depth + 1} /></li>`;
        })}
        ${gone.slice(0, MAX_MEMBERS).map((name) =>
          html`<li key=${`-${name}`} class="gone"><bdi class="name">${name.toWellFormed()}</bdi>: <${Leaf} value=${
            before.value[name]
          } /></li>`
        )}
        ${names.length > MAX_MEMBERS &&
          html`<li class="quiet">… and ${number(names.length - MAX_MEMBERS)} more</li>`}
      </ul>
    </details>
  `;
}

function Leaf({ value, before }) {
  const type = value === null ? "null" : typeof value;
  const text = type === "string"
    ? JSON.stringify(value)
    : isObject(value)
    ? JSON.stringify(value)
    : String(value);
  const old = before !== undefined && !before.missing ? before.value : undefined;
  return html`<bdi class=${`leaf ${type}`}>${shown(text.toWellFormed(), MAX_TEXT)}</bdi>${
    old !== undefined && old !== value &&
    html`<span class="was"> was <bdi>${
      shown(isObject(old) ? JSON.stringify(old) : String(old), 80)
    }</bdi></span>`
  }`;
}
