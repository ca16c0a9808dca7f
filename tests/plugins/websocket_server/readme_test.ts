/** Every code example of the original's README, and what its text says about it. */

import assert from "node:assert/strict";
import { Hono } from "@hono/hono";
import {
  createWebSocketServer,
  integrateWithHono,
  integrateWithServe,
} from "../../../plugins/servers/websocket_server.ts";
import type {
  Channel,
  ClientInfo,
  ConnectionAckData,
  ErrorData,
  MessageData,
  MessageType,
  QueryCompleteData,
  QueryErrorData,
  QueryProgressData,
  ServerMessage,
  TableEventData,
  UserCursorData,
  UserEventData,
  WebSocketMessage,
  WebSocketServerConfig,
} from "../../../plugins/servers/websocket_server.ts";
import { Client } from "../../kit/mod.ts";
import { connect, next, websocketServer } from "./kit.ts";

Deno.test("Q04 Q05 standalone server: notifications reach every client that connects", async () => {
  const config = { port: 0, path: "/ws", heartbeatInterval: 30_000, maxConnections: 100 };
  await using wsServer = await websocketServer(config);
  const { client } = await connect(wsServer);
  const progress = { queryId: "query-123", progress: 50, message: "Processing rows...", rowCount: 5000 };
  wsServer.notifyQueryProgress(progress);
  const created = { tableName: "users", userId: "user-456", timestamp: Date.now() };
  wsServer.notifyTableCreated(created);
  assert.deepEqual(await next(client), ["query:progress", "queries", progress]);
  assert.deepEqual(await next(client), ["table:created", "tables", created]);
  assert.equal(wsServer.getClientCount(), 1);
  await client.close();
});

Deno.test("Q07 starts on creation, and can be notified and stopped immediately", async () => {
  const wsServer = createWebSocketServer({ port: 0 });
  wsServer.notifyTableCreated({ tableName: "users", timestamp: Date.now() });
  await wsServer.start();
  const client = await Client.connect(wsServer.url);
  await client.nextJson();
  client.sendJson({ type: "history", channel: "tables", id: "h" });
  for (;;) {
    const { id, data } = await client.nextJson();
    if (id !== "h") continue;
    assert.deepEqual(data.publications.map((each: { type: string }) => each.type), ["table:created"]);
    break;
  }
  await client.close();
  await wsServer.stop();
  await createWebSocketServer({ port: 0 }).stop();
});

Deno.test("Q07 mounts in a Hono app, as the original in Express", async () => {
  const app = new Hono();
  app.get("/", (c) => c.text("the app"));
  const config = { heartbeatInterval: 30_000, maxConnections: 100 };
  const wsServer = integrateWithHono({ app, path: "/ws", config });
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, app.fetch);
  await serves(`http://127.0.0.1:${http.addr.port}`, wsServer);
  await wsServer.stop();
  await http.shutdown();
});

Deno.test("Q07 wraps a Deno.serve handler", async () => {
  const { wsServer, handler } = integrateWithServe({
    handler: () => new Response("the app"),
    path: "/ws",
    config: { maxConnections: 100 },
  });
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handler);
  await serves(`http://127.0.0.1:${http.addr.port}`, wsServer);
  await wsServer.stop();
  await http.shutdown();
});

/** Checks that the app still answers and that clients receive notifications. */
async function serves(url: string, wsServer: ReturnType<typeof createWebSocketServer>): Promise<void> {
  await wsServer.start();
  assert.equal(await (await fetch(url)).text(), "the app");
  const refused = await fetch(`${url}/ws`);
  assert.deepEqual([refused.status, (await refused.json()).error.code], [426, "upgrade_required"]);
  const { client } = await connect(`${url}/ws`);
  wsServer.notifyTableDropped({ tableName: "users", timestamp: 1 });
  assert.deepEqual(await next(client), ["table:dropped", "tables", { tableName: "users", timestamp: 1 }]);
  await client.close();
}

Deno.test("Q05 broadcasts to a channel's subscribers, to all clients, and to all except one", async () => {
  await using wsServer = await websocketServer();
  const [one, two] = [await connect(wsServer), await connect(wsServer)];
  await next(one.client); // the join of the other one
  await wsServer.unsubscribeClient(two.id, "queries");
  assert.equal((await next(two.client))[0], "unsubscribed");
  const complete = { queryId: "query-123", rowCount: 1000, duration: 250 };
  assert.equal(
    await wsServer.broadcastToChannel("queries", {
      type: "query:complete",
      channel: "queries",
      data: complete,
    }),
    1,
  );
  assert.deepEqual(await next(one.client), ["query:complete", "queries", complete]);
  const error = {
    type: "error",
    channel: "notifications",
    data: { message: "Database connection lost", code: "DB_ERROR" },
  } as const;
  assert.equal(wsServer.broadcast(error), 2);
  for (const { client } of [one, two]) {
    assert.deepEqual(await next(client), ["error", "notifications", error.data]);
  }
  assert.equal(wsServer.broadcast(error, { id: one.id }), 1);
  assert.equal((await next(two.client))[0], "error");
  assert.equal(one.client.waiting, 0);
  for (const { client } of [one, two]) await client.close();
});

Deno.test("Q02 subscribes clients by the server and by the client's messages", async () => {
  await using wsServer = await websocketServer({ autoSubscribe: [] });
  const { client, id } = await connect(wsServer, { channels: 0 });
  const hears = async () => {
    wsServer.notifyQueryStarted({ queryId: "q", query: "SELECT 1" });
    wsServer.broadcast({ type: "error", channel: "", data: { code: "END", message: "" } });
    const [type] = await next(client);
    if (type === "query:started") await next(client);
    return type === "query:started";
  };
  assert.equal(await hears(), false);
  assert.equal(await wsServer.subscribeClient(id, "queries"), true);
  assert.equal((await next(client))[0], "subscribed");
  assert.equal(await hears(), true);
  assert.deepEqual(wsServer.getClients().map(({ subscriptions }) => subscriptions), [["queries"]]);
  assert.equal(await wsServer.unsubscribeClient({ id }, "queries"), true);
  assert.equal((await next(client))[0], "unsubscribed");
  assert.equal(await hears(), false);
  client.sendJson({ type: "subscribe", channel: "queries" });
  assert.equal((await next(client))[0], "subscribed");
  assert.equal(await hears(), true);
  client.sendJson({ type: "unsubscribe", channel: "queries" });
  assert.equal((await next(client))[0], "unsubscribed");
  assert.equal(await hears(), false);
  assert.equal(await wsServer.subscribeClient("nobody", "queries"), false);
  assert.equal(await wsServer.unsubscribeClient("nobody", "queries"), false);
  await client.close();
});

Deno.test("Q04 each notify method announces its event on its channel", async () => {
  await using wsServer = await websocketServer();
  const { client } = await connect(wsServer);
  const table = { tableName: "users", userId: "ann", timestamp: 1 };
  wsServer.notifyQueryStarted({ queryId: "q", query: "SELECT 1", userId: "ann" });
  wsServer.notifyQueryProgress({ queryId: "q", progress: 1 });
  wsServer.notifyQueryComplete({ queryId: "q", rowCount: 1, duration: 2 });
  wsServer.notifyQueryError({ queryId: "q", error: "no such table" });
  wsServer.notifyQueryCancelled({ queryId: "q" });
  wsServer.notifyTableCreated(table);
  wsServer.notifyTableModified(table);
  wsServer.notifyTableDropped(table);
  const heard = [];
  for (let i = 0; i < 8; i++) heard.push((await next(client)).slice(0, 2).join(" on "));
  assert.deepEqual(heard, [
    "query:started on queries",
    "query:progress on queries",
    "query:complete on queries",
    "query:error on queries",
    "query:cancelled on queries",
    "table:created on tables",
    "table:modified on tables",
    "table:dropped on tables",
  ]);
  await client.close();
});

Deno.test("Q01 Q06 sends the example messages of the text exactly", async () => {
  await using wsServer = await websocketServer();
  const { client } = await connect(wsServer, { user: "john_doe" });
  const { client: other, id } = await connect(wsServer, { user: "jane" });
  const { id: messageId, timestamp, ...joined } = await client.nextJson();
  assert.deepEqual([typeof messageId, Math.abs(Date.now() - timestamp) < 10_000], ["string", true]);
  assert.deepEqual(joined, {
    type: "user:joined",
    channel: "collaboration",
    data: { userId: "jane", username: "jane", clientId: id, connectedUsers: 2 },
  });
  const data = { queryId: "query-456", progress: 75, message: "Processing...", rowCount: 7500 };
  wsServer.notifyQueryProgress(data);
  const { id: _, timestamp: __, ...progress } = await client.nextJson();
  assert.deepEqual(progress, { type: "query:progress", channel: "queries", data });
  const created = { tableName: "products", userId: "user-789", timestamp: 1738454400000 };
  wsServer.notifyTableCreated(created);
  const { id: ___, timestamp: ____, offset, ...table } = await client.nextJson();
  assert.deepEqual(table, { type: "table:created", channel: "tables", data: created });
  assert.equal(offset, 1, "the offset in the history, for recovery");
  await other.close();
  const [type, , { userId, connectedUsers }] = await next(client);
  assert.deepEqual([type, userId, connectedUsers], ["user:left", "jane", 1]);
  await client.close();
});

Deno.test("Q01 exports the types of the messages", () => {
  const progress: WebSocketMessage<QueryProgressData> = {
    id: "msg-123",
    timestamp: 1738454400000,
    type: "query:progress" satisfies MessageType,
    channel: "queries" satisfies Channel,
    data: { queryId: "query-456", progress: 75 },
  };
  const describe = (message: ServerMessage): string => {
    switch (message.type) {
      case "query:progress":
        return `${message.data.progress} %`;
      case "user:joined":
        return message.data.username;
      default:
        return message.type;
    }
  };
  assert.equal(describe(progress as ServerMessage), "75 %");
  type Listed = [
    ClientInfo,
    WebSocketServerConfig,
    ConnectionAckData,
    QueryCompleteData,
    QueryErrorData,
    TableEventData,
    UserCursorData,
    UserEventData,
    ErrorData,
    MessageData,
  ];
  const listed: Listed["length"] = 10;
  assert.equal(listed, 10);
});
