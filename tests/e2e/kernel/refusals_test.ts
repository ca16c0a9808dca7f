import assert from "node:assert/strict";
import { type Framing, Server, type ServerOptions } from "../../../core/mod.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { RawClient, serve, until } from "../../kit/mod.ts";

async function refused(port: number, path = "/echo"): Promise<{ status: string; retryAfter: boolean }> {
  using client = await RawClient.connect(port);
  const head = await client.request(path);
  return { status: head.split(" ")[1]!, retryAfter: /retry-after: \d/i.test(head) };
}

Deno.test("too many connections, in total or from one address, get 503 with Retry-After", async () => {
  for (const limit of [{ maxConnections: 2 }, { maxConnectionsPerIp: 2 }]) {
    await using server = await serve(limit, echo());
    const one = await server.connect("/echo");
    await using _two = await server.connect("/echo");
    assert.deepEqual(await refused(server.port), { status: "503", retryAfter: true });
    await one.close();
    await until("a free place", () => server.server.connections.size === 1);
    await using three = await server.connect("/echo");
    three.send("in");
    assert.equal(await three.next(), "in");
  }
});

Deno.test("a plain GET gets 426 at an endpoint and 404 at an unknown path, in JSON", async () => {
  await using server = await serve({}, echo());
  for (
    const [path, status, code] of [["/echo", 426, "upgrade_required"], [
      "/nothing",
      404,
      "not_found",
    ]] as const
  ) {
    const response = await server.fetch(path);
    assert.equal(response.status, status);
    assert.equal((await response.json()).error.code, code);
  }
  assert.equal((await refused(server.port, "/nothing")).status, "404");
});

Deno.test("a message that is too large closes with 1009, and one of the wrong kind with 1003", async () => {
  const BYTES: Framing<"binary"> = { accepts: "binary", format: Symbol("bytes") };
  const text = { name: "text", endpoints: [{ name: "text", path: "/text", open: () => ({ message() {} }) }] };
  const bytes = {
    name: "bytes",
    endpoints: [{
      name: "bytes",
      path: "/bytes",
      framing: () => BYTES,
      open: () => ({ message() {} }),
    }],
  };
  await using server = await serve({ maxMessageBytes: 100 }, text, bytes);
  const cases: [string, string | Uint8Array<ArrayBuffer>, number][] = [
    ["/text", "x".repeat(101), 1009],
    ["/text", "é".repeat(51), 1009],
    ["/text", new Uint8Array(1), 1003],
    ["/bytes", "text", 1003],
    ["/bytes", new Uint8Array(101), 1009],
  ];
  for (const [path, message, code] of cases) {
    const client = await server.connect(path);
    client.send(message);
    assert.equal((await client.closed).code, code, `${path} ${message.length}`);
  }
  await using fits = await server.connect("/text");
  fits.send("é".repeat(50));
  fits.send("x".repeat(100));
  await until("the sender to stay connected", () => server.server.connections.size === 1);
});

Deno.test("a client that disconnects during the upgrade hooks frees its place", async () => {
  let ask = Promise.withResolvers<void>();
  const slow = { name: "slow", upgrade: () => ask.promise.then(() => undefined) };
  await using server = await serve({ maxConnections: 1 }, slow, echo());
  const gone = await RawClient.connect(server.port);
  const request = gone.request("/echo").catch(() => "");
  await until("the upgrade hook", async () => (await refused(server.port)).status === "503");
  gone[Symbol.dispose]();
  ask.resolve();
  await request;
  ask = Promise.withResolvers();
  ask.resolve();
  await until("a free place", async () => (await refused(server.port)).status === "101", 15_000);
});

Deno.test("each invalid option throws one sentence", () => {
  const cases: [ServerOptions, string][] = [
    [{ port: 70_000 }, '"port" must be a port number or false, got 70000'],
    [{ hostname: "" }, '"hostname" must be a non-empty string, got ""'],
    [{ maxConnections: 0 }, '"maxConnections" must be a positive integer, got 0'],
    [{ maxMessageBytes: 1.5 }, '"maxMessageBytes" must be a positive integer, got 1.5'],
    [{ pongTimeoutMs: 30_000 }, '"pongTimeoutMs" must be shorter than'],
  ];
  for (const [options, message] of cases) {
    assert.throws(
      () => new Server(options),
      (error: Error) => error.message.includes(message) && !error.message.includes("\n"),
    );
  }
});
