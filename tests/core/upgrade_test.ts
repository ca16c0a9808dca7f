import assert from "node:assert/strict";
import { type AnyPlugin, type Connection, refusal, Server, unlessUpgraded } from "../../core/mod.ts";
import { endRequestOnce } from "../../core/http/socket_internals.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { Client, FakeClock, serve, until } from "../kit/mod.ts";

/** Whether the runtime has made a signal for a request, which it does with two errors and their stacks. */
function hasSignal(request: Request): boolean {
  const symbol = Object.getOwnPropertySymbols(request).find(({ description }) =>
    description === "signalCache"
  );
  assert.notEqual(symbol, undefined, "the runtime stores the signal elsewhere");
  return (request as unknown as Record<symbol, unknown>)[symbol!] instanceof AbortSignal;
}

Deno.test("an upgraded request makes no abort signal that nobody asked for", async () => {
  const requests: Request[] = [];
  const answer = (request: Request) => {
    requests.push(request);
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(data);
    if (request.url.endsWith("/once")) endRequestOnce(request);
    return response;
  };
  await using http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
  for (const path of ["/twice", "/once"]) {
    await using client = await Client.connect(`http://127.0.0.1:${http.addr.port}${path}`);
    client.send("hello");
    assert.equal(await client.next(), "hello");
  }
  // Should the first be false, the runtime has learned to do without, and the function can go.
  assert.deepEqual(requests.map(hasSignal), [true, false]);
});

Deno.test("endpoints of exact paths answer like others: with queries, escapes, middleware, and pages beside", async () => {
  const seen: string[] = [];
  const counting: AnyPlugin = {
    name: "counting",
    routes(app) {
      app.use("/counted", async ({ req }, next) => {
        seen.push(new URL(req.url).pathname);
        await next();
      });
      app.get("/page", (c) => c.text("a page"));
    },
  };
  const opened: string[] = [];
  const notes: AnyPlugin = { name: "notes", open: (_conn: Connection, { url }) => void opened.push(url) };
  const paths = ["/plain", "/counted", "/page", "/by/:name"];
  await using server = await serve({}, counting, notes, ...paths.map((path) => echo({ path })));
  const asked = ["/plain", "/plain?a=/b", "/pl%61in", "/counted", "/page", "/by/me"];
  for (const path of asked) {
    await using client = await server.connect(path);
    client.send(path);
    assert.equal(await client.next(), path);
  }
  assert.deepEqual(opened.map((url) => url.slice(url.indexOf("/", 8))), asked);
  assert.deepEqual(seen, ["/counted"]);
  assert.equal(await (await fetch(`${server.url}/page`)).text(), "a page");
  for (const path of ["/plain/", "/missing"]) await assert.rejects(server.raw(path), /404/);
});

Deno.test("middleware that has nothing to do for an accepted upgrade sees the refused ones, and all other requests", async () => {
  const seen: string[] = [];
  const watching: AnyPlugin = {
    name: "watching",
    upgrade: ({ url }) => url.endsWith("?no") ? refusal(403, "no", "No") : undefined,
    routes(app) {
      app.use(unlessUpgraded(async (c, next) => {
        await next();
        seen.push(`${c.req.method} ${c.req.path} ${c.res.status}`);
      }));
      app.use("/counted", async (c, next) => {
        seen.push(`${c.req.path} counted`);
        await next();
      });
      app.get("/page", (c) => c.text("a page"));
    },
  };
  await using server = await serve({}, watching, ...["/page", "/counted"].map((path) => echo({ path })));
  const seenDuring = async (request: () => Promise<unknown>) => {
    await request();
    return seen.splice(0);
  };
  const connected = (path: string) =>
    seenDuring(async () => {
      await using client = await server.connect(path);
      client.send("hello");
      assert.equal(await client.next(), "hello");
    });
  const refused = (path: string, answer: RegExp) =>
    seenDuring(() => assert.rejects(server.raw(path), answer));
  assert.deepEqual(await connected("/page"), []);
  assert.deepEqual(await refused("/page?no", /403/), ["SOCKET /page 403"]);
  assert.deepEqual(await refused("/missing", /404/), ["SOCKET /missing 404"]);
  assert.deepEqual(await connected("/counted"), ["/counted counted", "SOCKET /counted 200"]);
  assert.deepEqual(await refused("/counted?no", /403/), ["/counted counted", "SOCKET /counted 403"]);
  const page = await server.fetch("/page");
  assert.equal(await page.text(), "a page");
  assert.deepEqual(seen, ["GET /page 200"]);
});

Deno.test("a socket that does not open within ten seconds is given up, and its place is free again", async () => {
  const clock = new FakeClock();
  const server = new Server({ port: false, maxConnections: 1, clock });
  server.use(echo());
  await server.start();
  using silent = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const socket = new WebSocket(`ws://127.0.0.1:${silent.addr.port}`);
  const refused = assert.rejects(server.accept(socket, "/echo"), /has never opened/);
  using _accepted = await silent.accept();
  await assert.rejects(server.accept(socket, "/echo"), /Too many connections/);
  clock.advance(10_000);
  await refused;
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await assert.rejects(server.accept(socket, "/echo"), /has closed/);
  _accepted.close();
  await closed;
  await server.stop();
  await until("the end", () => server.connections.size === 0);
});
