/** The page: connects, shows the connection state, and starts the parts. */

import { Centrifuge } from "centrifuge";
import { channelParts } from "./channel.js";
import { $, element, onSubmit } from "./dom.js";
import { ideasPart } from "./ideas.js";

const TOKEN = "plugboard.token";

/** Returns a URL of the server, also below a proxy's path. */
const at = (path) => new URL(`../${path}`, import.meta.url).href;
const socketAt = (path) => at(path).replace(/^http/, "ws");

const client = new Centrifuge([
  { transport: "websocket", endpoint: socketAt("connection/websocket") },
  { transport: "http_stream", endpoint: at("connection/http_stream") },
  { transport: "sse", endpoint: at("connection/sse") },
], { emulationEndpoint: at("emulation"), token: sessionStorage.getItem(TOKEN) ?? "" });

/** Disconnect codes that a new token resolves. 0 is a disconnect by the user. */
const SIGN_IN = new Set([1, 101, 103, 109, 3500]);
const OFFLINE = 0;

let connectedBefore = false;

function show(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
  $("offline").textContent = state === "on" || state === "busy" ? "Go offline" : "Connect";
  $("offline").hidden = state === "sign-in";
  $("sign-in").hidden = state !== "sign-in";
  const hasToken = sessionStorage.getItem(TOKEN) !== null;
  $("sign-out").hidden = state !== "on" || !hasToken;
  $("token-argument").textContent = hasToken || state === "sign-in" ? "  { token },\n" : "";
}

client.on("connecting", () => show("busy", connectedBefore ? "Reconnecting …" : "Connecting …"));
client.on("connected", (context) => {
  connectedBefore = true;
  $("transport").textContent = context.transport;
  $("client").textContent = context.client;
  show("on", "Connected");
});
client.on("disconnected", ({ code, reason }) => {
  if (code === OFFLINE) show("off", "Offline");
  else if (SIGN_IN.has(code)) askForToken(reason);
  else show("off", `Disconnected: ${reason}`);
});

function askForToken(reason) {
  const hadToken = sessionStorage.getItem(TOKEN) !== null;
  sessionStorage.removeItem(TOKEN);
  show("sign-in", "Needs sign-in");
  $("sign-in-reason").textContent = hadToken
    ? `The server rejected the token: ${reason}.`
    : "This server requires a token.";
  $("sign-in").elements.token.focus();
}

function signIn(token) {
  if (token === "") sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, token);
  client.disconnect();
  client.setToken(token);
  client.connect();
}

onSubmit($("sign-in"), $("sign-in").querySelector("[role=alert]"), ({ token }) => {
  signIn(token.value.trim());
  token.value = "";
});
$("sign-out").addEventListener("click", () => signIn(""));
$("offline").addEventListener(
  "click",
  () => client.state === "disconnected" ? client.connect() : client.disconnect(),
);

/** Adds a button that copies the code. Browsers allow it only on secure pages. */
function addCopyButton(figure) {
  const code = figure.querySelector("pre");
  if (code.scrollWidth > code.clientWidth) code.tabIndex = 0; // allows scrolling with the arrow keys
  if (!navigator.clipboard) return;
  const button = element("button", { type: "button", "aria-live": "polite" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
    setTimeout(() => button.textContent = "Copy", 2_000);
  });
  figure.querySelector("figcaption").append(button);
}

for (const address of document.querySelectorAll("[data-at]")) {
  address.textContent = ("ws" in address.dataset ? socketAt : at)(address.dataset.at);
}
for (const figure of document.querySelectorAll("figure")) addCopyButton(figure);
channelParts(client);
ideasPart(client);
client.connect();
