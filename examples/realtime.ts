/**
 * Five small apps on one `RealtimeServer`: a chat, a shared document, a dashboard, notifications and a synced table.
 *
 *     deno run --allow-net --allow-env examples/realtime.ts
 *
 * Open http://127.0.0.1:8080 in two windows and sign in with two names. All data is in memory. The page uses a plain
 * `WebSocket`; see its code in `realtime.html`.
 */

import { loadSettings, run, setting } from "@plugboard/server";
import { logging } from "@plugboard/server/logging";
import { persistence } from "@plugboard/server/persistence";
import { RealtimeServer } from "@plugboard/server/realtime_server";
import { type Caller, RpcError } from "@plugboard/server/rpc";
import { SignJWT } from "jose";
import * as Y from "yjs";
import { look } from "./look/look.ts";
import page from "./realtime.html" with { type: "text" };
import documentScript from "./realtime/document.js" with { type: "text" };
import yjs from "./vendor/yjs.js" with { type: "text" };

const { PORT, JWT_SECRET } = loadSettings({
  PORT: setting.integer(8080, "Port to listen on"),
  JWT_SECRET: setting.secret("Secret that tokens are signed with; by default a new one at each start"),
});
const MAX_DOCUMENT_BYTES = 1_000_000;
const secret = JWT_SECRET ?? crypto.randomUUID();

const database = persistence({ path: ":memory:" });
const { api: db } = database;
const server = new RealtimeServer({ port: PORT, requireAuth: true, jwtSecret: secret, store: database });
server.use(logging());

// 1. Chat. The page publishes messages and shows presence. This callback stores messages without delaying delivery.
server.subscribe("chat-room-1", async (message, { info }) => {
  const { text } = message as { text: string };
  const user = info?.user ?? ""; // the verified sender, not a field of the message
  await db.write((tx) => void tx.run("INSERT INTO messages (user, text) VALUES (?, ?)", [user, text]));
  // Notifies the mentioned users.
  for (const [, name] of text.matchAll(/@(\w+)/g)) {
    await notifyUser(name!, { title: `${user} has mentioned you`, message: text });
  }
});

// 2. A document. Yjs merges what several people type at the same time. The server applies a change before it sends it to
// the others, so a new client gets the complete document, however old its letters are.
const doc = new Y.Doc();
let size = 0;
const mayEdit = ({ identity }: Caller) => identity.can("write", "document:abc");
server.rpc.define("document.edit", {
  args: bytesOf,
  allow: mayEdit,
  async run(update) {
    try {
      if (size + update.length > MAX_DOCUMENT_BYTES) size = sizeWith(update);
      else size += update.length;
      Y.applyUpdate(doc, update);
    } catch (error) {
      throw error instanceof RpcError ? error : new RpcError(400, "A change must be an update of Yjs");
    }
    await server.publish("document:abc", { update: update.toBase64() });
  },
});
/** Returns the size of the document after a change. Refuses what makes a full one larger, but no deletions. */
function sizeWith(update: Uint8Array): number {
  // The sum of all changes is more than the document has, since Yjs forgets what was deleted.
  const before = Y.encodeStateAsUpdate(doc);
  const copy = new Y.Doc();
  Y.applyUpdate(copy, before);
  Y.applyUpdate(copy, update);
  const after = Y.encodeStateAsUpdate(copy).length;
  copy.destroy();
  if (after <= MAX_DOCUMENT_BYTES || after < before.length) return after;
  throw new RpcError(413, "The document is full: delete something, and the rest will be sent");
}
server.rpc.define("document.sync", {
  args: bytesOf,
  allow: mayEdit,
  /** Returns what a client lacks, and what the server has. */
  run(vector) {
    try {
      const update = Y.encodeStateAsUpdate(doc, vector).toBase64();
      return { update, vector: Y.encodeStateVector(doc).toBase64() };
    } catch {
      throw new RpcError(400, "A vector must be a state vector of Yjs");
    }
  },
});
function bytesOf(value: unknown): Uint8Array {
  if (typeof value !== "string") throw new RpcError(400, "Bytes must be given as Base64");
  return Uint8Array.fromBase64(value);
}

// 3. A dashboard. A backend with its own API key publishes; signed-in users can only read. A live query counts messages.
const metricsKey = crypto.randomUUID();
server.addApiKey(metricsKey, { name: "Metrics", permissions: ["write:metrics"] });
async function publishMetrics(): Promise<void> {
  await server.publishFromClient("metrics-backend", "metrics", {
    memory: Deno.memoryUsage().rss,
    connections: server.getActiveConnections(),
    messages: server.getChannelStats("chat-room-1")[0]?.publications ?? 0,
  });
}

// 4. Notifications, to one user and to all.
interface Notification {
  title: string;
  message: string;
}
async function notifyUser(user: string, notification: Notification): Promise<void> {
  await server.publish(`user:${user}:notifications`, { ...notification, timestamp: Date.now(), read: false });
}
async function broadcastNotification(notification: Notification): Promise<void> {
  await server.publish("global:notifications", { ...notification, timestamp: Date.now(), read: false });
}

// 5. Data sync. Each change of the table is an event for pages and for this process.
server.subscribe("table:users", async (event) => {
  const { type, data } = event as { type: string; data: { name: string } };
  if (type !== "INSERT") return;
  await broadcastNotification({ title: "A new user", message: `${data.name} is here for the first time` });
});
async function createUser(name: string): Promise<void> {
  const [user] = await db.write((tx) =>
    tx.all("INSERT INTO users (name) VALUES (?) ON CONFLICT DO NOTHING RETURNING *", [name])
  );
  if (user !== undefined) await server.publish("table:users", { type: "INSERT", data: user });
}

/** Creates a token that expires after a minute, to show its renewal. A real app checks a password first. */
function tokenFor(name: string): Promise<string> {
  const channels = ["chat-room-1", "document:abc", "metrics", "table:users", "global:notifications"];
  const permissions = [
    ...[...channels, `user:${name}:notifications`].map((channel) => `read:${channel}`),
    ...["chat-room-1", "document:abc"].map((channel) => `write:${channel}`),
  ];
  const token = new SignJWT({ id: name, permissions }).setProtectedHeader({ alg: "HS256" });
  return token.setExpirationTime("1 minute").sign(new TextEncoder().encode(secret));
}

server.use(look);
server.use({
  name: "realtime_example",
  async start() {
    await db.migrate("realtime_example", [`
      CREATE TABLE messages (id INTEGER PRIMARY KEY, user TEXT NOT NULL, text TEXT NOT NULL);
      CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    `]);
    server.queries.define("talkers", {
      sql: "SELECT user, count(*) AS messages FROM messages GROUP BY user ORDER BY messages DESC LIMIT 5",
      key: ["user"],
      allow: (identity) => identity.can("read", "metrics"),
    });
  },
  routes(app) {
    app.get("/", (c) => c.html(page));
    const headers = { "content-type": "text/javascript; charset=utf-8" };
    app.get("/document.js", (c) => c.body(documentScript, 200, headers));
    app.get("/yjs.js", (c) => c.body(yjs, 200, headers));
    app.post("/sign-in", async (c) => {
      const { name } = Object(await c.req.json().catch(() => null));
      if (typeof name !== "string" || !/^\w{1,20}$/.test(name)) {
        return c.text("A name has 1 to 20 letters", 400);
      }
      await createUser(name);
      return c.json({ token: await tokenFor(name) });
    });
  },
});

await run(server);
await server.handleConnection({ id: "metrics-backend", apiKey: metricsKey });
setInterval(publishMetrics, 1_000);
