/** "May Ada subscribe to chat:1?": the verdict for every action, and the rule that decides. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { call } from "./server.js";
import { html, Problem, Words } from "./ui.js";

const VERBS = { subscribe: "read", publish: "write", presence: "read", history: "read" };
const ASKS = {
  subscribe: "Subscribe",
  publish: "Publish",
  presence: "See who is there",
  history: "Read the history",
};

const WHO = {
  user: "a connected user",
  client: "a connection",
  token: "a token",
  anonymous: "a client without credentials",
};

/** Explains the rule that decided. */
function reasonOf(action, { allowed, rule }, channel) {
  const permission = `${VERBS[action]}:${channel}`;
  if (allowed) {
    return {
      permission: `A permission includes ${permission}.`,
      anyone: "Anyone may, in this namespace.",
      signed_in: "Everyone who has signed in may, in this namespace.",
      subscriber: "It is a subscriber of the channel, and those may.",
    }[rule] ?? `Allowed by: ${rule}.`;
  }
  if (rule === "private channel") {
    return `The channel is private: a permission must name it, like ${permission}, or admin.`;
  }
  if (rule === "users in the channel's name") return "Only the users after the # in the channel's name may.";
  if (rule === "permission") return `No permission includes ${permission}.`;
  if (rule === "nobody") return "No client may, in this namespace; only the server and the API.";
  if (rule === "subscriber") return "Only subscribers of the channel may, and this client is not subscribed.";
  if (rule.startsWith("no ")) return `The namespace has ${rule.replace(" in this namespace", "")}.`;
  return `None of these rules holds: ${rule}.`;
}

export function Verdict({ query }) {
  const given = ["client", "user"].find((name) => query.has(name)) ?? "user";
  const kind = useSignal(given);
  const form = useRef();
  const answer = useSignal(undefined);
  const problem = useSignal("");

  useEffect(() => {
    if (query.has("channel") && query.has(given)) ask();
  }, []);

  async function ask(event) {
    event?.preventDefault();
    const { channel, who } = form.current.elements;
    const of = kind.value === "anonymous" ? { anonymous: true } : { [kind.value]: who.value.trim() };
    problem.value = "";
    try {
      answer.value = { ...await call("verdict", { channel: channel.value, ...of }), channel: channel.value };
    } catch (error) {
      answer.value = undefined;
      problem.value = error.message;
    }
  }

  return html`
    <h1>Who may?</h1>
        <form class="card" ref=${form} onSubmit=${ask}>
      <div class="row">
            <label>May <select name="kind" value=${kind.value} onChange=${({ target }) =>
              kind.value = target.value}>${Object.entries(WHO).map(([name, text]) =>
                html`<option value=${name}>${text}</option>`
              )}</select></label>
            ${kind.value !== "anonymous" &&
              html`<label class="grow">${
                { user: "User", client: "Connection id", token: "Token" }[kind.value]
              }
          <input name="who" required autocomplete="off" spellcheck=${false} defaultValue=${
                query.get(kind.value) ?? ""
              } /></label>`}
            <label class="grow">use the channel <input name="channel" required autocomplete="off" spellcheck=${false} defaultValue=${query
              .get("channel") ?? ""} placeholder="chat:1" /></label>
            <button class="primary">Ask</button>
          </div>
      <p class="quiet">A token is only checked, and neither stored nor used.</p>
    </form>
        <${Problem} text=${problem.value} />
        ${answer.value && html`<${Answer} ...${answer.value} />`}
  `;
}

function Answer({ user, permissions, verdicts, channel }) {
  return html`<section class="card" aria-label="Verdict">
    <h2><${Words} text=${user || "An anonymous client"} /> and <${Words} text=${channel} /></h2>
    <ul class="verdicts">${
    Object.entries(verdicts).map(([action, verdict]) =>
      html`<li key=${action} class=${verdict.allowed ? "yes" : "no"}><b>${verdict.allowed ? "Yes" : "No"}</b>
        <span>${ASKS[action]}</span><span class="quiet"><${Words} text=${
        reasonOf(action, verdict, channel)
      } /></span></li>`
    )
  }</ul>
    ${
    permissions &&
    html`<p class="quiet">Permissions: <span class="mono words">${
      permissions.join(", ") || "none"
    }</span></p>`
  }
    <p class="quiet">An app's own <code>subscribeRule</code> and backends can also deny.</p>
  </section>`;
}
