/** The search box in the header, and its page of results. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { address, open, to } from "./address.js";
import { count } from "./format.js";
import { Card, Empty, html, Problem, useRead, Words } from "./ui.js";

const DELAY_MS = 150;

/** Opens the results while the user types. */
export function SearchBox() {
  const input = useRef();
  const { name, query } = address.value;
  const timer = useRef();

  useEffect(() => {
    const focus = (event) => {
      if (event.key !== "/" || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
      event.preventDefault();
      input.current.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);

  const search = () => open(to("search", [], { text: input.current.value }));
  const typed = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(search, DELAY_MS);
  };
  const submit = (event) => {
    event.preventDefault();
    clearTimeout(timer.current);
    search();
  };
  return html`
    <form role="search" class="search" onSubmit=${submit}>
      <input ref=${input} type="search" aria-label="Search" placeholder="Search channels, users, connections"
        autocomplete="off" spellcheck=${false}
        defaultValue=${name === "search" ? query.get("text") ?? "" : ""} onInput=${typed} />
      <kbd aria-hidden="true">/</kbd>
    </form>
  `;
}

export function Search({ query }) {
  const text = query.get("text") ?? "";
  const { value, error, loading } = useRead("search", { text, limit: 50 }, { everyMs: 5_000 });
  const shown = useSignal(undefined);
  useEffect(() => void (shown.value = value), [value]);
  const { channels = [], users = [], clients = [] } = value ?? {};
  const nothing = value !== undefined && channels.length + users.length + clients.length === 0;
  return html`<h1>${text === "" ? "Channels and users" : html`Results for “<${Words} text=${text} />”`}</h1>
    <${Problem} text=${error?.message} />
    ${loading && html`<p class="quiet" role="status">Searching …</p>`}
    ${
    nothing &&
    html`<${Empty}>Nothing in use has this name. A channel is listed while it has subscribers; you can also open${" "}
      <a href=${to("channel", [text || "news"])}>the channel <${Words} text=${
      text || "news"
    } /></a>, for example to publish to it.<//>`
  }
    <div class="grid thirds">
      ${
    channels.length > 0 && html`
      <${Card} title="Channels">
        <ul class="list">${channels.map(({ channel, num_clients }) =>
          html`
            <li
              key=${channel}><a href=${to("channel", [
                channel,
              ])}><${Words} text=${channel} /></a> <span class="quiet">${count(
                num_clients,
                "client",
              )}</span></li>
          `
        )}</ul>
        <//>
    `
  }
      ${
    users.length > 0 && html`
      <${Card} title="Users">
        <ul class="list">${users.map(({ user, num_clients }) =>
          html`
            <li
              key=${user}><a href=${to("user", [
                user,
              ])}><${Words} text=${user} /></a> <span class="quiet">${count(
                num_clients,
                "connection",
              )}</span></li>
          `
        )}</ul>
        <//>
    `
  }
      ${
    clients.length > 0 && html`
      <${Card} title="Connections">
        <ul class="list">${clients.map(({ client, user }) =>
          html`
            <li
              key=${client}><a class="mono" href=${to("client", [client])}>${client.slice(
                0,
                13,
              )}…</a> <span class="quiet"><${Words} text=${user || "anonymous"} /></span></li>
          `
        )}</ul>
        <//>
    `
  }
    </div>`;
}
