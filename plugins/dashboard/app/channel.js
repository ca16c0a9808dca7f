/** A channel: what it offers and why not more, who is in it, its history, and what to do with it. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { to } from "./address.js";
import { count, number, shown } from "./format.js";
import { Payload } from "./json.js";
import { call } from "./server.js";
import { Action, Ago, Card, Empty, Fact, html, Problem, useRead, Words } from "./ui.js";

const REFRESH_MS = 3_000;
const PAGE = 25;
const MAX_PEOPLE = 200;

export function Channel({ parts: [channel = ""] }) {
  const { value, error, reload } = useRead("channel", { channel }, { everyMs: REFRESH_MS });
  const rate = useRate(value);
  const cleared = useSignal(0);
  return html`<div class="title"><h1><${Words} text=${channel} /></h1>
      <a class="button" href=${to("tail", [], { channel })}>Tail</a>
      <a class="button" href=${to("may", [], { channel })}>Who may?</a></div>
    <${Problem} text=${error?.message} />
    ${
    value && html`
      <div class="grid halves">
        <${Card} title="Now">
          <dl class="facts">
            <${Fact} name="Subscribers">${number(value.num_clients)}<//>
              <${Fact} name="Publications">${number(
                value.publications,
              )} <span class="quiet">while in use</span><//>
              <${Fact} name="Rate">${rate === undefined ? "…" : `${number(rate)} /s`}<//>
              <${Fact} name="Latest">${value.published_at
                ? html`<${Ago} time=${value.published_at} />`
                : "none"}<//>
              ${value.position &&
                html`<${Fact} name="Position">${
                  number(value.position.offset)
                } <span class="quiet mono">${value.position.epoch}</span><//>`}
            </dl><//>
            <${Options} ...${value} />
            <${Publish} channel=${channel} done=${reload} />
            <${Actions} channel=${channel} ...${value} done=${reload} cleared=${cleared} />
            ${value.namespace.presence && html`<${People} channel=${channel} />`}
            <${Subscribers} channel=${channel} />
            ${value.position &&
              html`<${History} channel=${channel} top=${value.position} cleared=${cleared.value} />`}
          </div>
    `
  }`;
}

/** Publications per second between the last two answers. */
function useRate(value) {
  const last = useRef();
  const rate = useSignal(undefined);
  useEffect(() => {
    if (value === undefined) return;
    const time = performance.now();
    const before = last.current;
    if (before !== undefined && value.publications >= before.publications) {
      rate.value = (value.publications - before.publications) / ((time - before.time) / 1_000);
    }
    last.current = { time, publications: value.publications };
  }, [value]);
  return rate.value;
}

function Options({ namespace: { name, rules, ...options }, notes }) {
  const rows = Object.entries(options);
  return html`<${Card} title=${name === "" ? "Default namespace" : `Namespace ${name}`}>
    ${
    notes.length > 0 && html`<ul class="notes">${
      notes.map((note) =>
        html`
          <li key=${note}>
            <${Words} text=${note} />
          </li>
        `
      )
    }</ul>`
  }
    <table><caption class="unseen">Who may</caption><tbody>${
    Object.entries(rules).map(([action, rule]) =>
      html`
        <tr>
          <th scope="row">${action}</th>
          <td>${rule.join(" or ")}</td>
        </tr>
      `
    )
  }</tbody></table>
    <details><summary>All options</summary><table><tbody>${
    rows.map(([option, set]) =>
      html`
        <tr>
          <th scope="row" class="mono">${option}</th>
          <td>
            <${Words} text=${shown(set)} />
          </td>
        </tr>
      `
    )
  }</tbody></table></details>
  <//>`;
}

function Publish({ channel, done }) {
  const text = useRef();
  async function publish() {
    let data;
    try {
      data = JSON.parse(text.current.value);
    } catch {
      throw new Error('The payload must be JSON, for example "hello"');
    }
    const { offset } = await call("publish", { channel, data });
    done();
    return offset ? `Published as number ${number(offset)}` : "Published";
  }
  return html`
    <${Card} title="Publish">
      <label>Payload, as JSON <textarea ref=${text} rows="3" spellcheck=${false} class="mono">{ "text": "hello" }</textarea></label>
      <p>
        <${Action} label="Publish" primary=${true} run=${publish} />
      </p>
      <//>
  `;
}

function Actions({ channel, num_clients, position, done, cleared }) {
  const clear = async () => {
    await call("history_remove", { channel });
    cleared.value++;
    return "The history is empty";
  };
  const close = async () => {
    const { closed } = await call("channel/close", { channel });
    done();
    return `${count(closed, "subscription")} ended`;
  };
  return html`<${Card} title="Actions">
    ${
    position && html`
      <p>
        <${Action} label="Clear the history" confirm="Really clear it?" danger=${true} run=${clear} />
      </p>
    `
  }
    <p><${Action} label="Unsubscribe everybody" confirm=${`Really end ${
    count(num_clients, "subscription")
  }?`} danger=${true} run=${close} /></p>
    <p class="quiet">Clients that were unsubscribed do not subscribe again by themselves.</p>
  <//>`;
}

function People({ channel }) {
  const { value, error } = useRead("presence", { channel }, { everyMs: REFRESH_MS });
  const all = Object.values(value?.presence ?? {});
  return html`<${Card} title="Presence" aside=${html`<span class="quiet">${
    count(all.length, "client")
  }</span>`}>
    <${Problem} text=${error?.message} />
    ${
    value && all.length === 0 &&
    html`<${Empty}>No client is present. Subscribers are present by themselves.<//>`
  }
    <ul class="chips">${
    all.slice(0, MAX_PEOPLE).map(({ user, client }) =>
      html`<li key=${client}><a href=${to("client", [client])}><${Words} text=${
        user || client.slice(0, 8)
      } /></a></li>`
    )
  }</ul>
    ${all.length > MAX_PEOPLE && html`<p class="quiet">… and ${number(all.length - MAX_PEOPLE)} more</p>`}
  <//>`;
}

function Subscribers({ channel }) {
  const after = useSignal([]);
  const params = { channel, limit: PAGE, ...(after.value.length > 0 && { cursor: after.value.at(-1) }) };
  const { value, error } = useRead("connections", params, { everyMs: REFRESH_MS });
  const all = Object.entries(value?.connections ?? {});
  return html`<${Card} title="Subscribers">
    <${Problem} text=${error?.message} />
    ${
    value && all.length === 0 &&
    html`<${Empty}>No client is subscribed. <code>client.newSubscription(…).subscribe()</code> of the SDK subscribes one.<//>`
  }
    <${Connections} all=${all} />
    <${Pager} more=${value?.cursor} after=${after} />
  <//>`;
}

/** A table of connections. */
export function Connections({ all }) {
  if (all.length === 0) return null;
  return html`
    <div class="scroll" tabindex="0" role="group" aria-label="Connections">
      <table>
        <thead>
          <tr>
            <th>Connection</th>
            <th>User</th>
            <th>Protocol</th>
            <th>Address</th>
            <th>Since</th>
          </tr>
        </thead>
        <tbody>${all.map(([id, { user, protocol, ip, connected_at }]) =>
          html`
            <tr key=${id}>
              <td><a class="mono" href=${to("client", [id])}>${id.slice(0, 8)}</a></td>
              <td>${user
                ? html`<a href=${to("user", [user])}><${Words} text=${user} /></a>`
                : html`<span class="quiet">anonymous</span>`}</td>
              <td>${protocol}</td>
              <td>${ip}</td>
              <td>
                <${Ago} time=${connected_at} />
              </td>
            </tr>
          `
        )}</tbody>
      </table>
    </div>
  `;
}

/** Buttons to the pages of a list. `after` has the cursors of the pages so far. */
export function Pager({ more, after }) {
  if (!more && after.value.length === 0) return null;
  return html`<p class="row"><button type="button" disabled=${after.value.length === 0}
      onClick=${() => after.value = after.value.slice(0, -1)}>Previous</button>
    <button type="button" disabled=${!more} onClick=${() =>
    after.value = [...after.value, more]}>Next</button>
    <span class="quiet">page ${number(after.value.length + 1)}</span></p>`;
}

function History({ channel, top, cleared }) {
  const before = useSignal([]);
  const since = before.value.at(-1);
  const params = {
    channel,
    limit: PAGE,
    reverse: true,
    ...(since && { since: { offset: since, epoch: top.epoch } }),
  };
  const { value, error } = useRead("history", params, { inputs: [since ? 0 : top.offset, cleared] });
  const publications = value?.publications ?? [];
  const oldest = publications.at(-1)?.offset;
  return html`<${Card} title="History" wide=${true} aside=${html`<span class="quiet">the newest first</span>`}>
    <${Problem} text=${error?.message} />
    ${value && publications.length === 0 && html`<${Empty}>Nothing is kept. Publish something above.<//>`}
    <ul class="log split">${
    publications.map(({ offset, data, info, tags }) =>
      html`
        <li key=${offset}>
          <p class="quiet"><span>#${number(offset)}</span>${info && html`
            <span>by <a href=${to("client", [info.client])}><${Words} text=${info.user ||
              info.client.slice(0, 8)} /></a></span>
          `}
                ${tags && html`
                  <span class="mono">${shown(tags, 200)}</span>
                `}
                <a class="small" href=${to("send", [], {
                  channel,
                  data: shown(data, 1_000),
                })}>send again</a></p>
          <${Payload} data=${data} />
        </li>
      `
    )
  }</ul>
    <${Pager} more=${publications.length === PAGE ? oldest : undefined} after=${before} />
  <//>`;
}
