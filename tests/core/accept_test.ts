import assert from "node:assert/strict";
import { type AnyPlugin, type Connection, Server } from "../../core/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { Client, RawClient, serve, started, turn, until, within } from "../kit/mod.ts";

const BYTES = Symbol("bytes");

/** Another server, which passes its sockets to `pass`. */
function host(pass: (socket: WebSocket, request: Request) => void, idleTimeout = 30) {
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout });
    pass(socket, request);
    return response;
  });
  return {
    url: `http://127.0.0.1:${http.addr.port}`,
    port: http.addr.port,
    [Symbol.asyncDispose]: () => http.shutdown(),
  };
}

async function mounted(...plugins: AnyPlugin[]) {
  const server = new Server({ port: false, drainMs: 500 });
  for (const plugin of plugins) server.use(plugin);
  await server.start();
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() });
}

Deno.test("accept takes a socket that is not open yet, and keeps messages that arrive during the upgrade hooks", async () => {
  const considered = Promise.withResolvers<void>();
  const seen: string[] = [];
  const slow: AnyPlugin = {
    name: "slow",
    async upgrade({ url, params, ip, headers }) {
      seen.push(url, params.room!, ip, headers.get("x-who")!);
      await considered.promise;
      return undefined;
    },
  };
  await using server = await mounted(slow, echo({ path: "/chat/:room" }));
  const accepted = Promise.withResolvers<Connection>();
  await using other = host((socket) => {
    server.accept(socket, "/chat/lobby?x=1", { ip: "10.0.0.1", headers: new Headers({ "x-who": "me" }) })
      .then(accepted.resolve, accepted.reject);
  });
  await using client = await Client.connect(other.url);
  client.send("one");
  client.send(Uint8Array.of(2));
  considered.resolve();
  assert.equal(await client.next(), "one");
  assert.deepEqual(await client.next(), Uint8Array.of(2));
  const conn = await accepted.promise;
  assert.deepEqual([conn.ip, conn.open], ["10.0.0.1", true]);
  assert.deepEqual(seen, ["http://accepted/chat/lobby?x=1", "lobby", "10.0.0.1", "me"]);
});

Deno.test("accept takes an open socket, and stops its idle timer", async () => {
  await using server = await mounted(echo());
  const sockets: WebSocket[] = [];
  const taken = Promise.withResolvers<Connection>();
  // It answers no pings, so the runtime would close it after 20 ms.
  await using other = host((socket) => {
    if (sockets.push(socket) === 2) socket.onopen = () => taken.resolve(server.accept(socket, "/echo"));
  }, 0.02);
  using _left = await RawClient.upgrade(other.port, "/");
  using raw = await RawClient.upgrade(other.port, "/");
  const conn = await taken.promise;
  await until("the end of the other socket", () => sockets[0]!.readyState === WebSocket.CLOSED);
  await raw.frame(1, "hello");
  assert.equal(new TextDecoder().decode(await raw.nextFrame(1)), "hello");
  assert.equal(conn.open, true);
});

Deno.test("accept rejects with the refusal: unknown path, refused by a plugin, closed socket", async () => {
  let allowed = false;
  await using server = await mounted(
    { name: "guard", upgrade: () => allowed ? undefined : new Response("not you", { status: 403 }) },
    echo(),
  );
  const sockets: WebSocket[] = [];
  await using other = host((socket) => void sockets.push(socket));
  await using client = await Client.connect(other.url);
  const [socket] = sockets;
  await assert.rejects(server.accept(socket!, "/nowhere"), {
    code: "refused",
    message: /nothing at this path/,
  });
  await assert.rejects(server.accept(socket!, "/echo"), { code: "refused", message: /not you/ });
  allowed = true;
  await client.close();
  await until("the end of the socket", () => socket!.readyState === WebSocket.CLOSED);
  await assert.rejects(server.accept(socket!, "/echo"), { code: "refused", message: /has closed/ });
  assert.equal(server.connections.size, 0);
});

Deno.test("a socket that closes during the upgrade hooks leaves no connection and no place", async () => {
  const considered = Promise.withResolvers<void>();
  const server = new Server({ port: false, maxConnections: 1 });
  server.use({ name: "slow", upgrade: () => considered.promise.then(() => undefined) });
  server.use(echo());
  await server.start();
  const results: Promise<Connection>[] = [];
  const sockets: WebSocket[] = [];
  await using other = host((socket) => {
    sockets.push(socket);
    results.push(server.accept(socket, "/echo"));
  });
  const client = await Client.connect(other.url);
  await client.close();
  await until("the end of the socket", () => sockets[0]!.readyState === WebSocket.CLOSED);
  considered.resolve();
  await assert.rejects(results[0]!, { code: "refused" });
  await using next = await Client.connect(other.url);
  next.send("hello");
  assert.equal(await next.next(), "hello");
  await next.close();
  await server.stop();
});

Deno.test("messages of a socket before its connection are bounded", async () => {
  const considered = Promise.withResolvers<void>();
  const server = new Server({ port: false, maxWaitingBytes: 10 * 65 });
  server.use({ name: "slow", upgrade: () => considered.promise.then(() => undefined) });
  server.use(echo());
  await server.start();
  let result: Promise<unknown>;
  await using other = host((socket) =>
    void (result = server.accept(socket, "/echo").catch((error) => error))
  );
  await using client = await Client.connect(other.url);
  for (let i = 0; i < 11; i++) client.send(String(i));
  assert.equal((await within("the close", client.closed)).code, 3013);
  considered.resolve();
  assert.match(String(await result!), /has closed/);
  await server.stop();
});

Deno.test("accept takes a client-side socket, which can send fewer close codes", async () => {
  // This side opened the connection, so its close codes must be 1000, or 3000 to 4999.
  await using far = await serve({}, echo());
  await using server = await mounted({
    name: "strict",
    endpoints: [{
      name: "strict",
      path: "/strict",
      framing: () => ({ accepts: "binary", format: BYTES }),
      open: () => ({ message() {} }),
    }],
  });
  const socket = new WebSocket(`${far.url.replace("http", "ws")}/echo`);
  const conn = await server.accept(socket, "/strict");
  conn.send("text, which is echoed and not accepted");
  await until("the close", () => !conn.open);
  await until("the far server to close", () => far.server.connections.size === 0);
});

Deno.test("a server that is not running accepts nothing", async () => {
  const server = new Server({ port: false });
  await assert.rejects(server.accept({} as WebSocket, "/echo"), { code: "not_ready" });
  const response = await server.fetch(new Request("http://test/"));
  assert.deepEqual([response.status, (await response.json()).error.code], [503, "not_ready"]);
});

Deno.test("fetch works without `this`, and gets the client's address from the runtime", async () => {
  const ips: string[] = [];
  await using server = await mounted({
    name: "ip",
    routes: (app) =>
      void app.get("/ip", (c) => {
        ips.push(c.env.ip);
        return c.body(null);
      }),
  });
  const { fetch } = server;
  await fetch(new Request("http://test/ip"));
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, fetch);
  await (await globalThis.fetch(`http://127.0.0.1:${http.addr.port}/ip`)).body?.cancel();
  await http.shutdown();
  assert.deepEqual(ips, ["unknown", "127.0.0.1"]);
});

Deno.test("two servers can run in one process", async () => {
  await using one = await serve({}, echo());
  await using other = await started(new Server({ port: 0 }));
  await using client = await one.connect("/echo");
  await assert.rejects(other.connect("/echo"), /404/);
  client.send("hello");
  assert.equal(await client.next(), "hello");
  await turn();
  assert.equal(other.server.connections.size, 0);
});
