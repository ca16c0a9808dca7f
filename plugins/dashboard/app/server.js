/** The connection to the server: the HTTP API, and live channels by the official SDK. */

import { signal } from "@preact/signals";

const KEY = "plugboard.admin.key";

/** Codes of the protocol: the sign-in has been revoked, and a permission is missing. */
const REVOKED = 3500;
const DENIED = 103;

const { root, api, open: isOpen } = document.body.dataset;

/** Returns a URL of the server, also below a proxy's path. */
export const at = (path) => new URL(root + path, location.href.split("#")[0]).href;

/** The API key, kept as long as the tab. */
export const key = signal(sessionStorage.getItem(KEY) ?? "");

/** `checking`, `signed_out`, `connecting`, `connected` or `lost`. */
export const state = signal("checking");

/** Why the sign-in was refused. */
export const refusal = signal("");

/** Counts the connections. Views read what they have missed when this changes. */
export const connections = signal(0);

/** An error that the server answered with. */
export class CallError extends Error {
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** Calls a method of the API. Resolves to its result. */
export async function call(method, params = {}, { signal } = {}) {
  const used = key.peek();
  const headers = { "content-type": "application/json", ...(used && { "x-api-key": used }) };
  const request = { method: "POST", headers, body: JSON.stringify(params), signal };
  let response;
  try {
    response = await fetch(at(`${api}/${method}`), request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new CallError("The server does not answer", "unreachable", 0);
  }
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new CallError(`The server answered ${response.status}`, "bad_answer", response.status);
  }
  if (body.error === undefined) return body.result;
  const { code, message } = body.error;
  // An answer to an earlier key comes too late: it would replace the reason for which that was signed out.
  if (response.status === 401 && used === key.peek()) signOut(used === "" ? "" : message);
  throw new CallError(message, code, response.status);
}

let client;
const subscriptions = new Map();

/** Checks the key, then connects. */
export async function signIn(given) {
  key.value = given;
  refusal.value = "";
  if (given === "" && isOpen !== "true") return signOut();
  state.value = "checking";
  try {
    await call("health");
  } catch (error) {
    if (error.status === 403) {
      return signOut(
        "This key is valid, but may not open the dashboard: it needs the permission admin, or admin:metrics",
      );
    }
    if (error.code === "unreachable" || error.status >= 500) {
      state.value = "lost";
      setTimeout(() => signIn(given), 2_000);
    }
    return;
  }
  if (given === "") sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, given);
  state.value = "connecting";
  await connect();
}

/** Forgets the key. */
export function signOut(why = "") {
  sessionStorage.removeItem(KEY);
  key.value = "";
  refusal.value = why;
  state.value = "signed_out";
  client?.disconnect();
  client = undefined;
}

async function connect() {
  const { Centrifuge } = await import("centrifuge");
  client?.disconnect();
  const socket = at("connection/websocket").replace(/^http/, "ws");
  client = new Centrifuge([
    { transport: "websocket", endpoint: socket },
    { transport: "http_stream", endpoint: at("connection/http_stream") },
  ], {
    emulationEndpoint: at("emulation"),
    name: "dashboard",
    headers: key.value === "" ? {} : { "X-API-Key": key.value },
    maxReconnectDelay: 3_000,
  });
  const own = client;
  client.on("connected", () => {
    state.value = "connected";
    connections.value++;
  });
  client.on("connecting", ({ code }) => state.value = code === 0 ? "connecting" : "lost");
  client.on("disconnected", ({ reason, code }) => {
    if (own !== client || code === 0) return;
    signOut(code === REVOKED ? "This API key is no longer valid" : `Disconnected: ${reason}`);
  });
  for (const [channel, feed] of subscriptions) open(channel, feed);
  client.connect();
}

function open(channel, feed) {
  const subscription = feed.subscription = client.newSubscription(channel);
  subscription.on("publication", ({ data }) => {
    for (const listener of feed.listeners) listener(data);
  });
  subscription.on("subscribed", () => {
    for (const { subscribed } of feed.watchers) subscribed?.();
  });
  subscription.on("unsubscribed", ({ code, reason }) => {
    const why = code === DENIED ? "the key needs the permission admin, or read:$admin:*" : reason;
    for (const { failed } of feed.watchers) failed?.(why);
  });
  subscription.on("error", ({ error }) => {
    for (const { failed } of feed.watchers) failed?.(error.message);
  });
  subscription.subscribe();
}

/** Calls back for each message of a live channel. Returns the function that ends it. */
export function follow(channel, listener, watcher = {}) {
  let feed = subscriptions.get(channel);
  if (feed === undefined) {
    subscriptions.set(channel, feed = { listeners: new Set(), watchers: new Set() });
  }
  feed.listeners.add(listener);
  feed.watchers.add(watcher);
  if (client !== undefined && feed.subscription === undefined) open(channel, feed);
  return () => {
    feed.listeners.delete(listener);
    feed.watchers.delete(watcher);
    if (feed.listeners.size > 0) return;
    subscriptions.delete(channel);
    feed.subscription?.removeAllListeners();
    feed.subscription?.unsubscribe();
    if (feed.subscription) client?.removeSubscription(feed.subscription);
  };
}
