import assert from "node:assert/strict";
import { type AnyPlugin, type Host, Server } from "../../core/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { Client, serve, started } from "../kit/mod.ts";

const page = (name: string): AnyPlugin => ({
  name,
  routes: (app) => void app.get(`/${name}`, (c) => c.text(`${name} for ${c.env.ip}`)),
});

async function statusOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.body?.cancel();
  return response.status;
}

Deno.test("routes and endpoints are on their listener only, and hooks see the clients of all", async () => {
  const server = new Server({ port: 0, listeners: { admin: { port: 0 } } });
  const opened: string[] = [];
  server.use({ name: "watch", open: ({ endpoint }) => void opened.push(endpoint.name) });
  server.use(page("health"));
  server.use(page("dashboard"), { listener: "admin" });
  server.use(echo({ path: "/main" }), { listener: "main" });
  server.use(echo({ path: "/admin" }), { listener: "admin" });
  await using main = await started(server);
  assert.deepEqual([...server.addresses.keys()], ["main", "admin"]);
  assert.equal(server.addresses.get("main")!.url, main.url);
  const admin = server.addresses.get("admin")!.url;

  assert.equal(await (await main.fetch("/health")).text(), "health for 127.0.0.1");
  assert.equal(await (await fetch(`${admin}/dashboard`)).text(), "dashboard for 127.0.0.1");
  assert.deepEqual(
    [await statusOf(`${main.url}/dashboard`), await statusOf(`${main.url}/admin`)],
    [404, 404],
  );
  assert.deepEqual([await statusOf(`${admin}/health`), await statusOf(`${admin}/main`)], [404, 404]);

  for (const [url, path] of [[main.url, "/main"], [admin, "/admin"]] as const) {
    await using client = await Client.connect(url + path);
    client.send(path);
    assert.equal(await client.next(), path);
  }
  await assert.rejects(Client.connect(`${admin}/main`), /404/);
  await assert.rejects(main.connect("/admin"), /404/);
  assert.deepEqual(opened, ["echo", "echo"]);
});

Deno.test("limits hold for the listeners together", async () => {
  const server = new Server({ port: 0, maxConnections: 1, listeners: { admin: { port: 0 } } });
  server.use(echo());
  server.use(echo({ path: "/admin" }), { listener: "admin" });
  await using main = await started(server);
  await using _client = await main.connect("/echo");
  await assert.rejects(Client.connect(`${server.addresses.get("admin")!.url}/admin`), /503/);
});

Deno.test("stop closes all listeners and their clients", async () => {
  const server = new Server({ port: 0, drainMs: 500, listeners: { admin: { port: 0 } } });
  server.use(echo({ path: "/admin" }), { listener: "admin" });
  await server.start();
  const ports = [...server.addresses.values()].map(({ port }) => port);
  const client = await Client.connect(`${server.addresses.get("admin")!.url}/admin`);
  await server.stop();
  assert.equal((await client.closed).code, 3001);
  assert.equal(server.addresses.size, 0);
  for (const port of ports) await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }));
});

Deno.test("a listener that cannot start closes the others, and stops the plugins", async () => {
  await using taken = await serve({});
  const server = new Server({ port: 0, listeners: { admin: { port: 0 }, second: { port: taken.port } } });
  let stopped = 0;
  server.use({ name: "other", stop: () => void stopped++ });
  // The test's sanitizers find a port that stays open.
  await assert.rejects(server.start(), {
    code: "listen_failed",
    message:
      `Cannot listen on 127.0.0.1:${taken.port}: the address is in use; stop the program that uses it, or choose another port`,
  });
  assert.deepEqual([stopped, server.state, server.addresses.size], [1, "stopped", 0]);
});

Deno.test("a listener works without the main one, which others then serve", async () => {
  const server = new Server({ port: false, listeners: { admin: { port: 0 } } });
  server.use(page("health"));
  server.use(page("dashboard"), { listener: "admin" });
  await server.start();
  assert.throws(() => server.address, { code: "not_listening" });
  assert.deepEqual([...server.addresses.keys()], ["admin"]);
  assert.equal(await statusOf(`${server.addresses.get("admin")!.url}/dashboard`), 200);
  assert.equal((await server.fetch(new Request("http://test/health"))).status, 200);
  assert.equal((await server.fetch(new Request("http://test/dashboard"))).status, 404);
  await server.stop();
});

Deno.test("each listener logs where it listens, with its plugins and endpoints", async () => {
  const lines: unknown[] = [];
  const server = new Server({ port: 0, listeners: { admin: { port: 0 } } });
  server.use({
    name: "log",
    log: ({ message, fields }) => void (message === "listening" && lines.push(fields)),
  });
  server.use(echo({ path: "/admin" }), { listener: "admin" });
  await server.start();
  const [main, admin] = [...server.addresses.values()].map(({ url }) => url);
  assert.deepEqual(lines, [
    { url: main, endpoints: "", plugins: "log" },
    { listener: "admin", url: admin, endpoints: "/admin", plugins: "echo" },
  ]);
  await server.stop();
});

Deno.test("plugins learn how often connections are pinged, and which addresses are listened on", async () => {
  const listeners = { admin: { port: 0, hostname: "0.0.0.0" } };
  const server = new Server({ port: 0, pingIntervalMs: 30_000, listeners });
  let host: Host | undefined;
  server.use({ name: "curious", start: (given) => void (host = given) });
  await server.start();
  assert.deepEqual([host!.pingIntervalMs, host!.hostnames], [30_000, ["127.0.0.1", "0.0.0.0"]]);
  await server.stop();
});

Deno.test("a listener that does not exist is named in the error", () => {
  const server = new Server({ listeners: { admin: { port: 1 } } });
  assert.throws(() => server.use(echo(), { listener: "admn" }), {
    code: "unknown_listener",
    message: 'Cannot use echo: the server has no listener "admn", only main, admin',
  });
});
