import assert from "node:assert/strict";
import { refusal } from "../../../core/mod.ts";
import { auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { hub, hubClient } from "../../../plugins/protocols/hub.ts";
import { serve, until } from "../../kit/mod.ts";

const apiKey = "secret";

async function hubServer() {
  const bus = channels();
  const access = auth({ anonymous: true });
  const plugin = hub({ channels: bus.api, access: access.api, apiKey, requireToken: false });
  const server = await serve({}, access, bus, plugin);
  return Object.assign(server, { hub: plugin.api });
}

/** A fake hub with the given responses, which records the idempotency keys of the calls. */
function fakeHub(answer: (call: number) => Response | Promise<Response>) {
  const keys: (string | null)[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    await request.text();
    keys.push(request.headers.get("idempotency-key"));
    return await answer(keys.length);
  });
  return {
    keys,
    baseUrl: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("H12 a backend sends to users, to sessions and to all clients", async () => {
  await using server = await hubServer();
  await using ann = await server.connect("/ws?userId=ann&sessionId=tab");
  await until("the client to be added", () => server.hub.stats().total_connections === 1);
  const backend = hubClient({ baseUrl: `${server.url}/`, apiKey });

  const sent = await backend.sendToUser("ann", { title: "Hello" });
  assert.ok(sent.ok);
  assert.deepEqual([sent.value.delivered, sent.value.targets], [1, { user: { delivered: 1, known: true } }]);
  const { timestamp, ...message } = await ann.nextJson();
  assert.deepEqual(message, { type: "notification", payload: { title: "Hello" } });
  assert.ok(Math.abs(Date.parse(timestamp) - Date.now()) < 60_000);

  const options = { type: "update", timestamp: "2024-01-01T00:00:00Z" };
  assert.ok((await backend.sendToSession("tab", [1], options)).ok);
  assert.deepEqual(await ann.nextJson(), { ...options, payload: [1] });

  const all = await backend.broadcast("down", { type: "announcement" });
  assert.ok(all.ok && all.value.delivered === 1);
  assert.equal((await ann.nextJson()).type, "announcement");

  const nobody = await backend.sendToUser("bob", {});
  assert.ok(nobody.ok && !nobody.value.targets.user!.known);
});

Deno.test("H12 a refused call returns a result and is not retried", async () => {
  await using server = await hubServer();
  const unauthorized = hubClient({ baseUrl: server.url, apiKey: "wrong" });
  assert.deepEqual(await unauthorized.broadcast({}), {
    ok: false,
    error: { code: "unauthorized", message: "X-API-Key is wrong", status: 401 },
  });
  const bad = await hubClient({ baseUrl: server.url, apiKey }).sendToUser("", {});
  assert.ok(!bad.ok && bad.error.status === 400 && bad.error.code === "bad_request");

  await using broken = fakeHub(() => new Response("<html>", { status: 500 }));
  assert.deepEqual(await hubClient({ baseUrl: broken.baseUrl, apiKey }).broadcast({}), {
    ok: false,
    error: { code: "refused", message: "The hub answered 500", status: 500 },
  });
  assert.equal(broken.keys.length, 1);
});

Deno.test("H12 a call is retried with the same idempotency key if the hub is unreachable", async () => {
  const unavailable = () => Response.json({ code: "not_ready", message: "starting" }, { status: 503 });
  await using starting = fakeHub((call) => call < 3 ? unavailable() : Response.json({ delivered: 0 }));
  const backend = hubClient({ baseUrl: starting.baseUrl, apiKey, retryDelayMs: 1 });
  assert.ok((await backend.broadcast({})).ok);
  assert.equal(starting.keys.length, 3);
  assert.equal(new Set(starting.keys).size, 1);

  await using never = fakeHub(unavailable);
  const failed = await hubClient({ baseUrl: never.baseUrl, apiKey, retries: 1, retryDelayMs: 1 }).broadcast(
    {},
  );
  assert.ok(!failed.ok && failed.error.status === 503);
  assert.equal(never.keys.length, 2);

  const nobody = hubClient({ baseUrl: "http://127.0.0.1:1", apiKey, retries: 2, retryDelayMs: 1 });
  const unreachable = await nobody.broadcast({});
  assert.ok(!unreachable.ok && unreachable.error.code === "unreachable");
});

Deno.test("H12 a call times out if the hub does not respond", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  await using silent = fakeHub(() => promise);
  const result = await hubClient({ baseUrl: silent.baseUrl, apiKey, timeoutMs: 50 }).broadcast({});
  assert.deepEqual(result, { ok: false, error: { code: "timeout", message: "No answer within 50 ms" } });
  resolve(new Response());
});

Deno.test("H12 a lost response does not send the message twice", async () => {
  await using server = await hubServer();
  await using ann = await server.connect("/ws?userId=ann");
  await until("the client to be added", () => server.hub.stats().total_connections === 1);
  // A proxy between backend and hub that loses the first response.
  let calls = 0;
  const proxy = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const init = { method: "POST", headers: request.headers, body: await request.text() };
    const response = await fetch(server.url + pathname, init);
    const answer = await response.text();
    return ++calls === 1 ? new Response(null, { status: 503 }) : new Response(answer);
  });
  const backend = hubClient({ baseUrl: `http://127.0.0.1:${proxy.addr.port}`, apiKey, retryDelayMs: 1 });
  const result = await backend.sendToUser("ann", { n: 1 });
  assert.ok(result.ok && result.value.delivered === 1);
  assert.equal(calls, 2);
  await server.hub.broadcast({ type: "end" });
  assert.deepEqual([(await ann.nextJson()).type, (await ann.nextJson()).type], ["notification", "end"]);
  await proxy.shutdown();
});

Deno.test("a hub with sign-in refuses in the hub's format", async () => {
  const access = auth({ apiKeys: [{ key: "of-ann", name: "ann", permissions: ["read:*"] }] });
  const bus = channels();
  await using server = await serve({}, access, bus, hub({ channels: bus.api, access: access.api }));
  const failure = async (apiKey: string) => {
    const result = await hubClient({ baseUrl: server.url, apiKey }).broadcast("x");
    return result.ok ? undefined : result.error;
  };
  const wrong = { code: "invalid_token", message: "Invalid API key", status: 401 };
  assert.deepEqual(await failure("nonsense"), wrong);
  assert.deepEqual(await failure("of-ann"), {
    code: "permission_denied",
    message: "Permission denied",
    status: 403,
  });
  const response = await server.fetch("/api/broadcast", { method: "POST", body: "{}" });
  assert.equal(response.status, 401);
  const body = { status: "error", code: "unauthorized", message: "Authentication required" };
  assert.deepEqual(await response.json(), body);
});

Deno.test("the client understands refusals in the kernel's format", async () => {
  await using hub = fakeHub(() => refusal(429, "too_many_requests", "Too many requests"));
  const result = await hubClient({ baseUrl: hub.baseUrl, apiKey }).broadcast("x");
  assert.deepEqual(result, {
    ok: false,
    error: { code: "too_many_requests", message: "Too many requests", status: 429 },
  });
});
