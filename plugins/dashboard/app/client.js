/** A connection, and all connections of a user. */

import { useSignal } from "@preact/signals";
import { to } from "./address.js";
import { Connections, Pager } from "./channel.js";
import { bytes, clock, count, date, number, shown } from "./format.js";
import { call } from "./server.js";
import { Action, Ago, Card, Empty, Fact, html, Problem, useRead, Words } from "./ui.js";

const REFRESH_MS = 3_000;

export function Client({ parts: [client = ""] }) {
  const { value, error, reload } = useRead("connection", { client }, { everyMs: REFRESH_MS });
  const gone = error?.status === 404;
  return html`<div class="title"><h1>${
    value ? html`<${Words} text=${value.user || "Anonymous client"} />` : "Connection"
  }</h1>
      <a class="button" href=${to("tail", [], { client })}>Tail</a>
      ${value?.user && html`<a class="button" href=${to("user", [value.user])}>All connections</a>`}</div>
    <p class="mono quiet words">${client}</p>
    ${
    gone
      ? html`<${Empty}>This connection has ended, or has never existed. What is remembered of it is below.<//>`
      : html`<${Problem} text=${error?.message} />`
  }
    <div class="grid halves">
      ${
    value && !gone && html`
      <${About} ...${value} />
      <${SignIn} ...${value} />
      <${Subscriptions} ...${value} done=${reload} />
      <${Control} ...${value} />
    `
  }
      <${Timeline} of=${{ client }} />
    </div>`;
}

function About({ protocol, ip, connected_at, queued_bytes, info }) {
  return html`
    <${Card} title="Connection">
      <dl class="facts">
        <${Fact} name="Protocol">${protocol}<//>
        <${Fact} name="Address">${ip}<//>
        <${Fact} name="Connected"><${Ago} time=${connected_at} /><//>
        <${Fact} name="Backlog">${bytes(queued_bytes)} <span class="quiet">not read yet</span><//>
        ${info !== undefined &&
          html`<${Fact} name="Others see"><code class="words">${shown(info, 300)}</code><//>`}
      </dl><//>
  `;
}

function SignIn({ user, anonymous, expires_at, issued_at, api_key, permissions = [] }) {
  return html`
    <${Card} title="Sign-in">
      <dl class="facts">
        <${Fact} name="User">${user ? html`<${Words} text=${user} />` : "none"}${anonymous && html`
          <span class="quiet">without credentials</span>
        `}<//>
        ${api_key && html`
          <${Fact} name="API key">
            <${Words} text=${api_key} />
            <//>
        `}
        ${issued_at && html`<${Fact} name="Token from">${date(issued_at)}<//>`}
        <${Fact} name="Ends">${expires_at ? html`<${Ago} time=${expires_at} />` : "never"}<//>
        <${Fact} name="Permissions"><span class="mono words">${permissions.join(", ") || "none"}</span><//>
      </dl><//>
  `;
}

function Subscriptions({ client, channels, done }) {
  const all = Object.entries(channels);
  const end = async (channel) => {
    await call("unsubscribe", { client, channel });
    done();
    return "Ended";
  };
  return html`<${Card} title="Subscriptions" aside=${html`<span class="quiet">${number(all.length)}</span>`}>
    ${
    all.length === 0 &&
    html`<${Empty}>It is not subscribed to any channel. <a href=${to("may", [], { client })}>May it?</a><//>`
  }
    <ul class="list">${
    all.map(([channel, { since, server_side, recoverable }]) =>
      html`<li key=${channel}><a href=${to("channel", [channel])}><${Words} text=${channel} /></a>
        <span class="quiet">since <${Ago} time=${since} />${server_side ? ", by the server" : ""}${
        recoverable ? "" : ", cannot recover"
      }</span>
        <${Action} label="End" run=${() => end(channel)} /></li>`
    )
  }</ul>
  <//>`;
}

function Control({ client, user }) {
  const disconnect = async () => {
    await call("disconnect", { client });
    return "Disconnected";
  };
  const expire = async () => {
    await call("refresh", { client, expired: true });
    return "It must get a new token";
  };
  return html`<${Card} title="Actions">
    <p><${Action} label="Disconnect" confirm="Really disconnect it?" danger=${true} run=${disconnect} /></p>
    <p class="quiet">The client does not connect again by itself.</p>
    <p><${Action} label="Ask for a new token" run=${expire} /></p>
    ${user && html`<${Revoke} user=${user} />`}
  <//>`;
}

function Revoke({ user }) {
  const revoke = async () => {
    const { closed } = await call("revoke", { user });
    return `Revoked; ${count(closed, "connection")} closed`;
  };
  return html`
    <p>
      <${Action} label="Revoke all tokens of the user" confirm="Really revoke them?" danger=${true}
        run=${revoke} />
    </p>
  `;
}

export function User({ parts: [user = ""] }) {
  const after = useSignal([]);
  const params = { user, limit: 25, ...(after.value.length > 0 && { cursor: after.value.at(-1) }) };
  const { value, error, reload } = useRead("connections", params, { everyMs: REFRESH_MS });
  const all = Object.entries(value?.connections ?? {});
  const disconnect = async () => {
    await call("disconnect", { user });
    reload();
    return "Disconnected";
  };
  return html`
    <div
      class="title"><h1><${Words} text=${user} /></h1><a class="button" href=${to("may", [], {
        user,
      })}>What may they?</a></div>
    <${Problem} text=${error?.message} />
    <div class="grid halves">
      <${Card} title="Connections">
            ${value && all.length === 0 && html`<${Empty}>This user is not connected now.<//>`}
            <${Connections} all=${all} /><${Pager} more=${value?.cursor} after=${after} />
          <//>
          <${Card} title="Actions">
            <p><${Action} label="Disconnect everywhere" confirm="Really disconnect all?" danger=${true} run=${disconnect} /></p>
            <${Revoke} user=${user} />
            <p class="quiet">A revoked token is refused for ever; new ones work.</p>
          <//>
          <${Timeline} of=${{ user }} />
        </div>
  `;
}

/** What limits are about. */
export const LIMITS = {
  message: "messages",
  bytes: "bytes of messages",
  subscribe: "subscribes",
  publish: "publishes",
  call: "calls of methods",
  query: "queries and reads",
  channel: "publishes of all to one channel",
};

const TEXTS = {
  connected: () => "Signed in",
  disconnected: ({ code, reason, by }) => `Disconnected by the ${by}: ${code} ${reason}`,
  recovered: ({ channel }) => `Recovered all of ${channel}`,
  limited: ({ reason, count: times }) => `Went beyond the limit: ${LIMITS[reason]}, ${count(times, "time")}`,
  "not recovered": ({ channel, reason = "" }) => `Could not recover ${channel}: ${reason}`,
};

function Timeline({ of }) {
  const { value, error } = useRead("journal", of, { everyMs: REFRESH_MS });
  const entries = value?.entries ?? [];
  return html`<${Card} title="Timeline" wide=${true} aside=${html`<span class="quiet">the newest first</span>`}>
    <${Problem} text=${error?.message} />
    ${
    value && entries.length === 0 &&
    html`<${Empty}>No sign-in, disconnect, recovery or limit is remembered; the server keeps the latest 5,000 of all.<//>`
  }
    <ol class="log">${
    entries.map((entry, i) =>
      html`
        <li key=${`${entry.time} ${i}`}
          class=${["not recovered", "limited"].includes(entry.event)
            ? "error"
            : ""}><span class="quiet">${clock(
              entry.time,
            )}, <${Ago} time=${entry.time} /></span>${" "}
                <${Words} text=${TEXTS[entry.event](entry)} />${" "}<a class="mono small" href=${to(
                  "client",
                  [entry.client],
                )}>${entry.client.slice(0, 8)}</a></li>
      `
    )
  }</ol>
  <//>`;
}
