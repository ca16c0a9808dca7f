/** Send: publish to a channel, or call a method. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { to } from "./address.js";
import { number, shown } from "./format.js";
import { Json } from "./json.js";
import { call } from "./server.js";
import { Card, Empty, html, Problem, useRead, Words } from "./ui.js";

/** Returns the value of a field with JSON. */
function jsonIn(field, what) {
  try {
    return field.value.trim() === "" ? undefined : JSON.parse(field.value);
  } catch {
    throw new Error(`${what} must be JSON, for example { "text": "hello" }`);
  }
}

export function Send({ query }) {
  return html`
    <h1>Send</h1>
    <div class="grid halves">
      <${Publish} query=${query} />
      <${Rpc} />
    </div>
  `;
}

/** A form whose outcome is shown below. */
function useForm(run) {
  const form = useRef();
  const outcome = useSignal(undefined);
  const busy = useSignal(false);
  const submit = async (event) => {
    event.preventDefault();
    busy.value = true;
    try {
      outcome.value = { value: await run(form.current.elements) };
    } catch (error) {
      outcome.value = { error: error.message };
    }
    busy.value = false;
  };
  return { form, submit, outcome: outcome.value, busy: busy.value };
}

function Publish({ query }) {
  const { form, submit, outcome, busy } = useForm(async ({ channel, data, tags, skip }) => {
    const given = jsonIn(tags, "Tags");
    const value = jsonIn(data, "The payload");
    if (value === undefined) throw new Error("Write a payload first");
    const result = await call("publish", {
      channel: channel.value,
      data: value,
      ...(given !== undefined && { tags: given }),
      ...(skip.checked && { skip_history: true }),
    });
    return { channel: channel.value, ...result };
  });
  return html`
    <${Card} title="Publish">
      <form class="fields" ref=${form} onSubmit=${submit}>
        <label>Channel <input name="channel" required autocomplete="off" spellcheck=${false} defaultValue=${query
          .get("channel") ?? ""} placeholder="news" /></label>
        <label>Payload, as JSON <textarea name="data" rows="7" class="mono" spellcheck=${false} defaultValue=${query
          .get("data") ?? '{ "text": "hello" }'}></textarea></label>
        <label>Tags, as JSON <input name="tags" class="mono" spellcheck=${false} placeholder='{ "lang": "en" }' /></label>
        <label class="check"><input type="checkbox" name="skip" /> Only to current subscribers, not into the history</label>
        <p><button class="primary" disabled=${busy}>Publish</button></p>
        <${Problem} text=${outcome?.error} />
        ${outcome?.value &&
          html`<p role="status">Published to <a href=${
            to("channel", [outcome.value.channel])
          }><${Words} text=${outcome.value.channel} /></a>${
            outcome.value.offset ? ` as number ${number(outcome.value.offset)}` : ", which keeps no history"
          }.</p>`}
      </form>
      <//>
  `;
}

function Rpc() {
  const { value, error } = useRead("methods", {});
  const methods = value?.methods ?? [];
  const chosen = useSignal("");
  const schema = value?.schemas[chosen.value];
  const { form, submit, outcome, busy } = useForm(({ method, params }) =>
    call("rpc", { method: method.value, params: jsonIn(params, "Arguments") ?? null })
  );
  const choose = ({ target }) => chosen.value = target.value;
  // An effect, since the method may be chosen before the methods are known.
  useEffect(() => {
    if (schema === undefined) return;
    const { params } = form.current.elements;
    // What was typed stays.
    if (!["", params.example].includes(params.value)) return;
    params.value = params.example = JSON.stringify(exampleOf(schema), null, 2);
  }, [chosen.value, schema === undefined]);
  return html`<${Card} title="Call a method">
    <${Problem} text=${error?.message} />
    ${
    value && methods.length === 0
      ? html`<${Empty}>The app has no methods. <code>methods.define("add", { run: … })</code> defines one, of <code>rpc()</code>.<//>`
      : html`<form class="fields" ref=${form} onSubmit=${submit}>
      <label>Method <input name="method" list="methods" required autocomplete="off" spellcheck=${false} onInput=${choose} /></label>
      <datalist id="methods">${methods.map((name) => html`<option value=${name} />`)}</datalist>
      <label>Arguments, as JSON <textarea name="params" rows="7" class="mono" spellcheck=${false} placeholder='{ "name": "Ada" }'></textarea></label>
      ${schema && html`<${Fields} schema=${schema} />`}
      <p><button class="primary" disabled=${busy}>Call</button></p>
      <p class="quiet">It is called with your key's permissions and without a connection.</p>
      <${Problem} text=${outcome?.error && shown(outcome.error)} />
      ${
        outcome?.value && html`
          <div role="status">
            <${Json} value=${outcome.value.data} open=${3} />
          </div>
        `
      }
    </form>`
  }
  <//>`;
}

/** The fields of the arguments. */
function Fields({ schema: { properties = {}, required = [] } }) {
  const all = Object.entries(properties);
  return all.length > 0 && html`
    <table>
      <caption class="unseen">Fields of the arguments</caption>
      <tbody>${all.map(([name, field]) =>
        html`
          <tr>
            <th scope="row">
              <${Words} text=${name} mono=${true} />
            </th>
            <td>${typeOf(field)}${required.includes(name) ? "" : html`
              <span class="quiet">optional</span>
            `}</td>
            <td>
              <${Words} text=${field.description ?? ""} />
            </td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}

function typeOf({ type, enum: values, anyOf, items, const: only }) {
  if (values !== undefined) return shown(values.map((value) => JSON.stringify(value)).join(" or "), 200);
  if (only !== undefined) return shown(JSON.stringify(only), 200);
  if (anyOf !== undefined) return shown(anyOf.map(typeOf).join(" or "), 200);
  return type === "array" && items?.type ? `list of ${items.type}` : String(type ?? "any");
}

const EXAMPLES = { string: "", number: 0, integer: 0, boolean: false, null: null };

/** Returns a value that has the shape of a schema. */
function exampleOf(schema, depth = 0) {
  const { type, default: usual, const: only, enum: values, examples, anyOf, properties = {}, items } =
    schema ?? {};
  const given = [usual, only, examples?.[0], values?.[0]].find((value) => value !== undefined);
  if (given !== undefined || depth > 8) return given ?? null;
  if (anyOf !== undefined) return exampleOf(anyOf[0], depth + 1);
  if (type === "array") return items === undefined ? [] : [exampleOf(items, depth + 1)];
  if (type !== "object") return EXAMPLES[type] ?? null;
  return Object.fromEntries(
    Object.entries(properties).map(([name, field]) => [name, exampleOf(field, depth + 1)]),
  );
}
