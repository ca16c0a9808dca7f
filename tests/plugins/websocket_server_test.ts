import assert from "node:assert/strict";
import { Hono } from "@hono/hono";
import { SignJWT } from "jose";
import { persistence } from "../../plugins/persistence.ts";
import {
  createWebSocketServer,
  integrateWithHono,
  WebSocketServer,
  type WebSocketServerConfig,
} from "../../plugins/servers/websocket_server.ts";
import { Client, until, within } from "../kit/mod.ts";
import { connect, next, websocketServer } from "./websocket_server/kit.ts";

const SECRET = "a secret of thirty-two bytes or more";

Deno.test("Q07 listens on port 3001, and reports a port in use", async () => {
  let taken: Deno.Listener | undefined;
  try {
    taken = Deno.listen({ port: 3001, hostname: "127.0.0.1" });
  } catch { /* already in use */ }
  const server = createWebSocketServer();
  await assert.rejects(server.start(), /Cannot listen on 127\.0\.0\.1:3001: the address is in use/);
  await server.stop();
  taken?.close();
});

Deno.test("Q07 two servers in one app have separate clients and channels", async () => {
  const app = new Hono();
  const one = integrateWithHono({ app, path: "/one" });
  const two = integrateWithHono({ app, path: "/two" });
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, app.fetch);
  await Promise.all([one.start(), two.start()]);
  const { client } = await connect(`http://127.0.0.1:${http.addr.port}/one`);
  two.notifyTableCreated({ tableName: "theirs", timestamp: 1 });
  one.notifyTableCreated({ tableName: "ours", timestamp: 1 });
  assert.equal((await next(client))[2].tableName, "ours");
  assert.deepEqual([one.getClientCount(), two.getClientCount()], [1, 0]);
  await client.close();
  for (const server of [one, two]) await server.stop();
  await http.shutdown();
});

Deno.test("Q07 in a public app, remote clients need an explicit requireAuth", async () => {
  for (const [config, count] of [[{}, 0], [{ requireAuth: false }, 1]] as const) {
    const app = new Hono();
    const server = integrateWithHono({ app, config });
    const from = {
      remoteAddr: { transport: "tcp", hostname: "192.0.2.1", port: 1 },
    } as Deno.ServeHandlerInfo;
    const http = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      (request) => app.fetch(request, from),
    );
    await server.start();
    const client = await Client.connect(`http://127.0.0.1:${http.addr.port}/ws`);
    const { type, data } = await client.nextJson();
    if (count === 0) assert.deepEqual([type, data.code], ["error", "UNAUTHORIZED"]);
    else assert.equal(type, "connection:ack");
    assert.equal(server.getClients().length, count);
    await client.close();
    await server.stop();
    await http.shutdown();
  }
});

Deno.test("Q08 listens with TLS, and fails to start without the certificate or key file", async () => {
  const folder = await Deno.makeTempDir();
  const [wssCertPath, wssKeyPath] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  const options =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost " +
    "-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE " +
    `-keyout ${wssKeyPath} -out ${wssCertPath}`;
  await new Deno.Command("openssl", { args: options.split(" "), stderr: "null" }).output();
  {
    await using server = await websocketServer({ enableWss: true, wssCertPath, wssKeyPath });
    assert.match(server.url, /^wss:\/\/127\.0\.0\.1:\d+\/ws$/);
    using trusting = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(wssCertPath)] });
    const url = server.url.replace("127.0.0.1", "localhost");
    await using client = await Client.connect(url, [], {}, trusting);
    assert.equal((await next(client))[0], "connection:ack");
  }
  const missing = createWebSocketServer({ port: 0, enableWss: true, wssCertPath: "none.pem", wssKeyPath });
  await assert.rejects(missing.start(), /"tls\.certFile" cannot be read: .*none\.pem/);
  for (const config of [{}, { wssCertPath }, { wssKeyPath }]) {
    assert.throws(
      () => new WebSocketServer({ enableWss: true, ...config }),
      /"wss(Cert|Key)Path" must be the file/,
    );
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("Q09 refuses connections beyond the maximum until one closes", async () => {
  await using server = await websocketServer({ maxConnections: 3 });
  const clients = await Promise.all([1, 2, 3].map(() => Client.connect(server.url)));
  await assert.rejects(Client.connect(server.url), /503/);
  await until("all three", () => server.getClientCount() === 3);
  await clients[0]!.close();
  await until("room", () => server.getClientCount() === 2);
  await using _client = await Client.connect(server.url);
  for (const client of clients) await client.close();
});

Deno.test("Q09 clients cannot send server messages, and other clients do not see the attempt", async () => {
  await using server = await websocketServer();
  const victim = await connect(server);
  const forger = await connect(server, { user: "mallory" });
  await next(victim.client); // the join
  const attempts = [
    { type: "query:complete", channel: "queries", data: { queryId: "q", rowCount: 1, duration: 1 } },
    { type: "table:dropped", channel: "tables", data: { tableName: "users", timestamp: 1 } },
    { type: "user:left", channel: "collaboration", data: { userId: "ann", connectedUsers: 0 } },
    { type: "connection:ack", channel: "", data: {} },
    ...["queries", "tables", "notifications"].flatMap((channel) => [
      { type: "publish", channel, data: { type: "query:complete" } },
      { type: "user:cursor", channel, data: { x: 1 } },
    ]),
  ];
  for (const attempt of attempts) {
    forger.client.sendJson(attempt);
    assert.equal((await next(forger.client))[0], "error", JSON.stringify(attempt));
  }
  forger.client.sendJson({ type: "user:cursor", data: { x: 5 } });
  const [type, channel, { x, userId }] = await next(victim.client);
  assert.deepEqual([type, channel, x, userId], ["user:cursor", "collaboration", 5, "mallory"]);
  for (const { client } of [victim, forger]) await client.close();
});

Deno.test("Q06 announces the user count up to the maximum number of connections", async () => {
  await using server = await websocketServer({ maxConnections: 700 });
  const { client } = await connect(server);
  const others = await Promise.all(Array.from({ length: 699 }, () => Client.connect(server.url)));
  for (let last = 1; last < 700;) {
    const [type, , data] = await next(client);
    assert.equal(type, "user:joined");
    last = data.connectedUsers;
  }
  await Promise.all([client, ...others].map((each) => each.close()));
});

Deno.test("Q10 with a database, table changes and queries are announced automatically", async () => {
  const database = persistence({ path: ":memory:" });
  await using server = await websocketServer({ store: database });
  const { client } = await connect(server);
  await database.api.exec("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)");
  const [type, , { tableName }] = await next(client);
  assert.deepEqual([type, tableName], ["table:created", "users"]);
  const { rowCount } = await server.sqlEvents.run("SELECT 1 UNION SELECT 2", [], { user: "ann" });
  assert.equal(rowCount, 2);
  assert.equal((await next(client))[0], "query:started");
  for (;;) {
    const [end, , { rowCount: announced }] = await next(client);
    if (end === "query:progress") continue; // The query's process starts slowly on a busy machine.
    assert.deepEqual([end, announced], ["query:complete", 2]);
    break;
  }
  await client.close();
});

Deno.test("S07 can require a token, and needs an explicit requireAuth on a public address", async () => {
  await using server = await websocketServer({ requireAuth: true, jwtSecret: SECRET });
  const anonymous = await Client.connect(`${server.url}?userId=ann`);
  assert.equal((await next(anonymous))[2].code, "UNAUTHORIZED");
  await within("the close", anonymous.closed);
  const jwt = await new SignJWT({ sub: "ann", permissions: ["read:queries", "read:collaboration"] })
    .setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(SECRET));
  await using client = await Client.connect(`${server.url}?token=${jwt}&userId=bob`);
  assert.equal((await next(client))[2].userId, "ann");
  const channels = [(await next(client))[1], (await next(client))[1]];
  assert.deepEqual(channels, ["queries", "collaboration"], "the channels that the token allows");
  const beyond: WebSocketServerConfig[] = [{ host: "0.0.0.0" }, { host: "::", jwtSecret: SECRET }];
  for (const config of beyond) assert.throws(() => new WebSocketServer(config), /"requireAuth" must be/);
});

Deno.test("refuses foreign origins, but not local and listed ones", async () => {
  await using server = await websocketServer({ allowedOrigins: ["https://gui.example.com"] });
  const from = (origin: string) => Client.connect(server.url, [], { origin });
  await assert.rejects(from("https://evil.example.com"), /403/);
  for (const origin of ["http://localhost:5173", "https://gui.example.com"]) {
    await (await from(origin)).close();
  }
});

Deno.test("refuses invalid options by name", () => {
  assert.throws(
    () => new WebSocketServer({ heartbeatInterval: 0 }),
    /"heartbeatInterval" must be a positive/,
  );
  assert.throws(() => new WebSocketServer({ maxConnections: -1 }), /"maxConnections" must be a positive/);
  assert.throws(() => new WebSocketServer({ path: "ws" }), /"path" must be a path that begins with/);
});
