/** What waits: webhooks with their dead letters, and scheduled publications. */

import { useSignal } from "@preact/signals";
import { to } from "./address.js";
import { Pager } from "./channel.js";
import { count, date, number } from "./format.js";
import { Json } from "./json.js";
import { call } from "./server.js";
import { Action, Ago, Card, Empty, html, Problem, useRead, Words } from "./ui.js";

const REFRESH_MS = 3_000;
const PAGE = 25;

export function Queues() {
  return html`
    <h1>Queues</h1>
    <div class="grid">
      <${Webhooks} />
      <${Schedule} />
    </div>
  `;
}

function Webhooks() {
  const { value, error, reload } = useRead("webhooks", {}, { everyMs: REFRESH_MS });
  const open = useSignal(undefined);
  const receivers = value?.receivers ?? [];
  return html`<${Card} title="Webhooks">
    <${Problem} text=${error?.message} />
    ${
    value && receivers.length === 0 &&
    html`<${Empty}>No backend gets events. WEBHOOK_URL in the settings names one.<//>`
  }
    ${
    receivers.length > 0 && html`
      <table>
        <thead>
          <tr>
            <th>Receiver</th>
            <th class="number">Waiting</th>
            <th class="number">Dead letters</th>
            <th class="number">Dropped</th>
          </tr>
        </thead>
        <tbody>${receivers.map(({ name, queued, dead_letters, dropped }) =>
          html`
            <tr>
              <td>
                <${Words} text=${name} />
              </td>
              <td class="number">${number(queued)}</td>
              <td class="number">${dead_letters === 0
                ? 0
                : html`<button type="button" aria-expanded=${open.value === name} onClick=${() =>
                  open.value = open.value === name ? undefined : name}>${number(dead_letters)}</button>`}</td>
              <td class="number">${number(dropped)}</td>
            </tr>
          `
        )}</tbody>
      </table>
    `
  }
    ${open.value !== undefined && html`<${DeadLetters} name=${open.value} done=${reload} />`}
  <//>`;
}

function DeadLetters({ name, done }) {
  const after = useSignal([]);
  const params = { name, limit: PAGE, ...(after.value.length > 0 && { after: after.value.at(-1) }) };
  const { value, error, reload } = useRead("dead_letters", params, { everyMs: REFRESH_MS });
  const letters = value?.dead_letters ?? [];
  const all = (method, text) => async () => {
    const { queued, deleted } = await call(method, { name });
    reload();
    done();
    return `${count(queued ?? deleted, "event")} ${text}`;
  };
  const again = (id) => async () => {
    await call("dead_letters/retry", { name, ids: [id] });
    reload();
    return "Queued again";
  };
  return html`
    <section aria-label="Dead letters">
      <h3>Dead letters of <${Words} text=${name} /></h3>
      <${Problem} text=${error?.message} />
      <p class="row">
        <${Action} label="Send all again" run=${all("dead_letters/retry", "queued")} />
        <${Action} label="Delete all" confirm="Really delete them?" danger=${true} run=${all(
          "dead_letters/empty",
          "deleted",
        )} />
      </p>
      <ul class="log split">${letters.map(({ id, event, reason }) =>
        html`
          <li key=${id}>
            <div>
              <p class="quiet">#${number(id)} <${Words} text=${reason} /></p>
              <${Action} label="Send again" run=${again(id)} />
            </div>
            <${Json} value=${event} open=${1} />
          </li>
        `
      )}</ul>
      <${Pager} more=${letters.length === PAGE ? letters.at(-1).id : undefined} after=${after} />
    </section>
  `;
}

function Schedule() {
  const after = useSignal([]);
  const params = { limit: PAGE, ...(after.value.length > 0 && { after: after.value.at(-1) }) };
  const { value, error, reload } = useRead("schedule/list", params, { everyMs: REFRESH_MS });
  const scheduled = value?.scheduled ?? [];
  const cancel = (channel, id) => async () => {
    await call("schedule/cancel", { channel, id });
    reload();
    return "Cancelled";
  };
  return html`<${Card} title="Scheduled publications">
    <${Problem} text=${error?.message} />
    ${
    value && scheduled.length === 0 &&
    html`<${Empty}>Nothing is due later. <code>publish</code> of the API takes <code>at</code>, <code>delay</code> and <code>every</code>.<//>`
  }
    ${
    scheduled.length > 0 && html`
      <div class="scroll" tabindex="0" role="group" aria-label="Scheduled publications">
        <table>
          <thead>
            <tr>
              <th>Channel</th>
              <th>Id</th>
              <th>Due</th>
              <th>Again</th>
              <th></th>
            </tr>
          </thead>
          <tbody>${scheduled.map(({ channel, id, at, every, timezone = "UTC" }) =>
            html`
              <tr key=${`${channel} ${id}`}>
                <td><a href=${to("channel", [channel])}><${Words} text=${channel} /></a></td>
                <td>
                  <${Words} mono=${true} text=${id} />
                </td>
                <td title=${date(at)}>
                  <${Ago} time=${at} />
                </td>
                <td>${every
                  ? html`<code>${every}</code> <span class="quiet">${timezone}</span>`
                  : html`<span class="quiet">once</span>`}</td>
                <td class="number">
                  <${Action} label="Cancel" confirm="Really?" run=${cancel(channel, id)} />
                </td>
              </tr>
            `
          )}</tbody>
        </table>
      </div>
    `
  }
    <${Pager} more=${scheduled.length === PAGE ? scheduled.at(-1).seq : undefined} after=${after} />
  <//>`;
}
