/** The page: connects, shows the connection state, and starts the parts. */

import { Centrifuge } from "centrifuge";
import { channelParts } from "./channel.js";
import { addCopyButtons, fillCode } from "./code.js";
import { $, onSubmit } from "./dom.js";
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

/** What becomes of messages that are written now. */
const WAITING = {
  busy: "Waiting for the server. A message is sent if it is back within a few seconds.",
  off: "You are offline. Connect to publish, and to get what you miss meanwhile.",
  "sign-in": "Sign in to publish.",
};

function show(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
  $("offline").textContent = state === "on" || state === "busy" ? "Go offline" : "Connect";
  $("offline").hidden = state === "sign-in";
  $("sign-in").hidden = state !== "sign-in";
  const hasToken = sessionStorage.getItem(TOKEN) !== null;
  $("sign-out").hidden = state !== "on" || !hasToken;
  fillCode({ token: hasToken || state === "sign-in" ? ", { token }" : "" });
  $("waiting").textContent = WAITING[state] ?? "";
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

fillCode({
  sdk: at("centrifuge.js"),
  socket: socketAt("connection/websocket"),
  liveRows: at("live_rows.js"),
});
addCopyButtons();
channelParts(client);
ideasPart(client);
client.connect();
