/** The page: navigation, sign-in, the state of the connection, and the views. */

import { effect } from "@preact/signals";
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { address } from "./address.js";
import { Channel } from "./channel.js";
import { Client, User } from "./client.js";
import { forget, start } from "./figures.js";
import { Overview } from "./overview.js";
import { key, signIn, signOut, state } from "./server.js";
import { Queries, QueryView } from "./queries.js";
import { Queues } from "./queues.js";
import { Search, SearchBox } from "./search.js";
import { Send } from "./send.js";
import { Recorder, Settings } from "./settings.js";
import { SignIn } from "./sign_in.js";
import { Tables } from "./tables.js";
import { Tail } from "./tail.js";
import { html } from "./ui.js";
import { Verdict } from "./verdict.js";

/** The views, by the first part of the address after the `#`. */
const VIEWS = [
  { name: "", title: "Overview", view: Overview },
  { name: "search", title: "Channels", view: Search },
  { name: "channel", title: "Channel", view: Channel, hidden: true },
  { name: "client", title: "Connection", view: Client, hidden: true },
  { name: "user", title: "User", view: User, hidden: true },
  { name: "may", title: "Who may?", view: Verdict },
  { name: "tail", title: "Tail", view: Tail },
  { name: "send", title: "Send", view: Send },
  { name: "queries", title: "Live queries", view: Queries },
  { name: "query", title: "Live query", view: QueryView, hidden: true },
  { name: "tables", title: "Tables", view: Tables },
  { name: "queues", title: "Queues", view: Queues },
  { name: "recorder", title: "Recorder", view: Recorder },
  { name: "settings", title: "Settings", view: Settings },
];

const STATES = {
  checking: "Checking …",
  connecting: "Connecting …",
  connected: "Live",
  lost: "Connection lost. Trying again …",
};

function Status() {
  return html`<p id="status" role="status" data-state=${state.value}>${STATES[state.value]}</p>`;
}

function Frame() {
  const { name, parts, query } = address.value;
  const { view: View, title } = VIEWS.find((view) => view.name === name) ?? VIEWS[0];
  useEffect(start, []);
  useEffect(() => {
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    document.title = `${title} · Plugboard`;
  }, [title]);
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="bar">
      <a class="brand" href="#/"><img src=${new URL("../icon.svg", import.meta.url)
        .href} alt="" width="28" height="28" /> Plugboard</a>
      <${SearchBox} />
      <div class="end">
            <${Status} />
            ${key.value && html`<button type="button" onClick=${leave}>Sign out</button>`}
          </div>
    </header>
    <nav aria-label="Views">
      <ul>${VIEWS.filter(({ hidden }) => !hidden).map((view) =>
        html`<li><a href=${`#/${view.name}`} aria-current=${
          view.name === name ? "page" : undefined
        }>${view.title}</a></li>`
      )}</ul>
    </nav>
    <main id="main" tabindex="-1" class=${state.value === "lost" ? "stale" : ""}>
      <${View} key=${[name, ...parts].join("/")} parts=${parts} query=${query} />
    </main>
  `;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function leave() {
  signOut();
  forget();
}

function App() {
  return state.value === "signed_out" || state.value === "checking" ? html`<${Gate} />` : html`<${Frame} />`;
}

/** While a known key is checked, nothing flashes. */
function Gate() {
  return state.value === "signed_out"
    ? html`<${SignIn} />`
    : html`<p class="checking" role="status">${STATES.checking}</p>`;
}

effect(() => {
  address.value;
  document.getElementById("main")?.focus({ preventScroll: true });
});
render(html`<${App} />`, document.getElementById("app"));
signIn(key.value);
