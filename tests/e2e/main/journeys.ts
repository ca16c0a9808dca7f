/** What users do over each protocol, as described in the README. */

import assert from "node:assert/strict";
import { createMergeableStore } from "tinybase";
import { heard, sdkClient, type TransportName } from "../../kit/centrifuge.ts";
import { Client, RawClient, until } from "../../kit/mod.ts";
import { hubClient } from "../../../plugins/protocols/hub.ts";
import { converged, synced } from "../../plugins/tinybase/kit.ts";

/** A user, with a token or anonymous. */
export interface Visitor {
  readonly url: string;
  readonly user: string;
  readonly token?: string;
}

/** Returns the URL of an endpoint with the visitor's token. */
export function addressOf({ url, token }: Visitor, path: string): string {
  return url + path + (token === undefined ? "" : `${path.includes("?") ? "&" : "?"}token=${token}`);
}

/** Requests a URL and resolves to the status. */
export async function statusOf(url: string, init: RequestInit = {}): Promise<number> {
  const response = await fetch(url, init);
  await response.body?.cancel();
  return response.status;
}

/** Requests an upgrade. Resolves to the status, and the message if it is refused. */
export async function refusedUpgrade(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; message?: string }> {
  const { port, pathname, search } = new URL(url);
  using raw = await RawClient.connect(Number(port));
  const head = await raw.request(pathname + search, { host: `127.0.0.1:${port}`, ...headers });
  const status = Number(head.split(" ")[1]);
  if (status === 101) return { status };
  let body = "";
  const length = Number(head.match(/content-length: (\d+)/)![1]);
  while (body.length < length) body += new TextDecoder().decode(await raw.read() ?? assert.fail(head));
  return { status, message: JSON.parse(body).error.message };
}

/** Publishes, subscribes, calls a method, and reads presence and history. */
export async function byCentrifuge(visitor: Visitor, transport: TransportName, demo: boolean): Promise<void> {
  const token = visitor.token === undefined ? {} : { token: visitor.token };
  await using client = sdkClient(visitor.url, transport, token);
  const room = client.sdk.newSubscription(`room:${crypto.randomUUID()}`, { joinLeave: true });
  const publications = heard(room, "publication");
  room.subscribe();
  client.sdk.connect();
  await room.ready(30_000);
  await room.publish({ text: "hello" });
  assert.deepEqual((await publications.next()).data, { text: "hello" });
  const { clients } = await room.presence();
  assert.deepEqual(Object.values(clients).map(({ user }) => user), [visitor.token ? visitor.user : ""]);
  assert.equal((await room.history({ limit: 10 })).publications.length, 1);
  if (!demo) {
    await assert.rejects(client.sdk.rpc("home.vote", { id: 1 }), { code: 108 });
    return;
  }
  const query = client.sdk.newSubscription("live:home.ideas");
  const [rows, changes] = [heard(query, "subscribed"), heard(query, "publication")];
  query.subscribe();
  const { data: { rows: ideas } } = await rows.next();
  assert.equal(ideas.length, 3);
  await client.sdk.rpc("home.vote", { id: 1 });
  assert.ok((await changes.next()).data.upsert[0].votes > 0);
}

export async function byJson(visitor: Visitor, demo: boolean): Promise<void> {
  await using client = await Client.connect(addressOf(visitor, "/ws"));
  const ack = await client.nextJson();
  assert.equal(ack.type, "connection:ack");
  const channel = `room:${crypto.randomUUID()}`;
  client.sendJson({ type: "subscribe", channel });
  assert.equal((await client.nextJson()).type, "subscribed");
  client.sendJson({ type: "publish", channel, data: { text: "hello" } });
  const answers = [await client.nextJson(), await client.nextJson()].map(({ type }) => type);
  assert.deepEqual(answers.sort(), ["message", "published"]);
  client.sendJson({ type: "rpc", data: { method: "home.vote", params: { id: 1 } } });
  const { type, data } = await client.nextJson();
  if (demo) assert.equal(type, "rpc:result");
  else assert.equal(data.code, "NOT_AVAILABLE");
}

/** Sends to a user, to a session and to all clients as a backend. */
export async function byHub(visitor: Visitor, backend: Record<string, string>): Promise<void> {
  await using inbox = await Client.connect(addressOf(visitor, `/hub/ws?userId=${visitor.user}&sessionId=s`));
  const stats = async () => (await (await fetch(`${visitor.url}/hub/health`)).json()).stats;
  await until("the client to be registered", async () => (await stats()).total_users === 1);
  const title = "Your order has left";
  const message = { targetUserId: visitor.user, message: { type: "order", payload: { title } } };
  const headers = { "content-type": "application/json", ...backend };
  const body = JSON.stringify(message);
  const sent = await fetch(`${visitor.url}/hub/api/send`, { method: "POST", headers, body });
  assert.deepEqual([sent.status, (await sent.json()).delivered], [200, 1]);
  assert.deepEqual((await inbox.nextJson()).payload, { title });
  const hub = hubClient({ baseUrl: `${visitor.url}/hub`, apiKey: backend["x-api-key"] ?? "none" });
  for (const result of [await hub.sendToSession("s", { title }), await hub.broadcast({ title })]) {
    assert.ok(result.ok && result.value.delivered === 1, JSON.stringify(result));
    assert.deepEqual((await inbox.nextJson()).payload, { title });
  }
}

/** Creates a room and sends messages in it. */
export async function byChat(visitor: Visitor, name = visitor.user): Promise<void> {
  const headers = visitor.token === undefined ? {} : { authorization: `Bearer ${visitor.token}` };
  const init = { method: "POST", headers, body: JSON.stringify({ name: crypto.randomUUID() }) };
  const made = await fetch(`${visitor.url}/chat/rooms`, init);
  const room = await made.json();
  assert.equal(made.status, 201, JSON.stringify(room));
  await using one = await Client.connect(addressOf(visitor, `/chat/ws/${room.id}/${name}`));
  assert.equal((await one.nextJson()).Type, "system");
  await using two = await Client.connect(addressOf(visitor, `/chat/ws/${room.id}/${name}`));
  assert.equal((await two.nextJson()).Type, "system");
  assert.equal((await one.nextJson()).Type, "join");
  one.send("hello");
  const { Type, Content, Username } = await two.nextJson();
  assert.deepEqual([Type, Content, Username], ["message", "hello", name]);
  const rooms = await (await fetch(`${visitor.url}/chat/rooms`, { headers })).json();
  assert.equal(rooms.find(({ id }: { id: string }) => id === room.id).activeUsers, 2);
}

export async function byPipe(visitor: Visitor): Promise<void> {
  const address = addressOf(visitor, `/relay/${crypto.randomUUID()}?clientId=new`);
  await using one = await Client.connect(address);
  await using two = await Client.connect(address);
  const id = async (client: Client) => JSON.parse((await client.nextText()).split("|")[3]!).clientId;
  const [first, second] = [await id(one), await id(two)];
  one.send(`${second}|r1|question|how are you?`);
  assert.equal(await two.nextText(), `${first}|r1|question|how are you?`);
  two.send("|r2|notice|for all");
  assert.equal(await one.nextText(), `${second}|r2|notice|for all`);
}

export async function byTinyBase(visitor: Visitor): Promise<void> {
  const address = addressOf(visitor, `/sync/${crypto.randomUUID()}`);
  const mine = createMergeableStore();
  await using one = await synced(address, { store: mine });
  mine.setCell("todos", "milk", "text", "Buy milk");
  await using two = await synced(address);
  await converged(one.store, two.store);
  assert.equal(two.store.getCell("todos", "milk", "text"), "Buy milk");
}

export async function byEcho(visitor: Visitor): Promise<void> {
  await using client = await Client.connect(addressOf(visitor, "/echo"));
  client.send("hello");
  assert.equal(await client.nextText(), "hello");
}

/** Requests the routes for operators. */
export async function byHttp(url: string, operator: HeadersInit): Promise<void> {
  for (const path of ["/", "/centrifuge.js", "/live_rows.js", "/health", "/health/live", "/health/ready"]) {
    assert.equal(await statusOf(url + path), 200, path);
  }
  for (const path of ["/metrics", "/api/stats"]) {
    assert.equal(await statusOf(url + path, { headers: operator }), 200, path);
  }
  const stop = new AbortController();
  const trace = await fetch(`${url}/api/trace?channel=x`, { headers: operator, signal: stop.signal });
  assert.equal(trace.status, 200);
  await trace.body!.getReader().read();
  stop.abort();
}
