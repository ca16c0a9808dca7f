/** The page: navigation, sign-in, the state of the connection, and the views. */

import { signal } from "@preact/signals";
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { forget, start } from "./figures.js";
import { Overview } from "./overview.js";
import { key, signIn, signOut, state } from "./server.js";
import { SignIn } from "./sign_in.js";
import { html } from "./ui.js";

/** The views, by the first part of the address after the `#`. */
const VIEWS = [
  { name: "", title: "Overview", view: Overview },
];

const route = signal(routeOf());

function routeOf() {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...rest] = path.split("/");
  return { name, rest: rest.map(decoded), query: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // an invalid escape, typed by hand
  }
}

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
  const { name } = route.value;
  const { view: View, title } = VIEWS.find((view) => view.name === name) ?? VIEWS[0];
  useEffect(start, []);
  useEffect(() => {
    document.title = `${title} · Plugboard`;
  }, [title]);
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="bar">
      <a class="brand" href="#/"><img src=${new URL("../icon.svg", import.meta.url)
        .href} alt="" width="28" height="28" /> Plugboard</a>
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
      <${View} ...${route.value} />
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

addEventListener("hashchange", () => {
  route.value = routeOf();
  document.getElementById("main")?.focus({ preventScroll: true });
  scrollTo(0, 0);
});
render(html`<${App} />`, document.getElementById("app"));
signIn(key.value);
