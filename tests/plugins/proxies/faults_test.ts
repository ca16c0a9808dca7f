/** Backends that are slow, down, broken or hostile. */

import assert from "node:assert/strict";
import { PlugboardError } from "../../../core/mod.ts";
import { proxies } from "../../../plugins/proxies.ts";
import { Breaker } from "../../../plugins/proxies/breaker.ts";
import { Places } from "../../../plugins/proxies/places.ts";
import { Schedule } from "../../../plugins/proxies/schedule.ts";
import { FakeClock, freePort, turn, until, within } from "../../kit/mod.ts";
import { type Answer, backendServer, connected, proxyServer } from "./kit.ts";

const TEMPORARY = {
  code: 100,
  message: "The backend is not available at the moment, try again later",
  temporary: true,
};

const everything = { auth: { anonymous: { permissions: ["read:*", "write:*"] } } };
const rooms = { namespaces: { room: {} } };

/** 100 MB, sent as fast as they are read. */
function flood(): Response {
  let parts = 0;
  return new Response(
    new ReadableStream({
      pull(controller) {
        if (++parts > 1_600) controller.close();
        else controller.enqueue(new Uint8Array(65_536).fill(32));
      },
    }),
  );
}

Deno.test("whatever the backend does, the client gets a temporary error, and others are not slowed", async (t) => {
  let hanging: (() => void)[] = [];
  const answers: Record<string, () => Answer> = {
    "answers 500": () => new Response("oops", { status: 500 }),
    "redirects": () => new Response(null, { status: 307, headers: { location: "http://127.0.0.1:1/" } }),
    "hangs": () => new Promise((resolve) => hanging.push(() => resolve({}))),
    "sends 100 MB": flood,
    "sends no JSON": () => new Response("<html>"),
    "sends a list": () => new Response("[]"),
    "sends a wrong code": () => ({ error: { code: "100", message: "x" } }),
    "sends a close code of its own": () => ({ disconnect: { code: 1000, reason: "x" } }),
    "sends wrong fields": () => ({ result: { tags: [1], data: 1 } }),
  };
  for (const [name, answer] of Object.entries(answers)) {
    await t.step(name, async () => {
      await using backend = backendServer(answer);
      const options = {
        url: backend.url,
        timeoutMs: name === "hangs" ? 1_500 : 30_000,
        namespaces: ["room"],
      };
      await using server = await proxyServer({ publish: options }, { ...everything, channels: rooms });
      await using client = await connected(server);
      client.sendJson({ id: 2, publish: { channel: "room:1", data: 1 } });
      client.sendJson({ id: 3, publish: { channel: "news", data: 1 } });
      const replies = [await client.nextJson(), await client.nextJson()];
      if (name === "hangs") assert.equal(replies[0].id, 3);
      replies.sort((a, b) => a.id - b.id);
      assert.deepEqual(replies, [{ id: 2, error: TEMPORARY }, { id: 3, publish: {} }]);
      assert.equal(backend.count, 1);
      assert.equal((await server.bus.history("room:1")).publications.length, 0);
      for (const answer of hanging) answer();
      hanging = [];
    });
  }
});

Deno.test("a status is an error or a disconnect where the operator says so", async () => {
  await using backend = backendServer(() => new Response(null, { status: 404 }));
  const statuses = { 404: { error: { code: 1404, message: "no room" } } };
  const options = { url: backend.url, namespaces: ["room"], statuses };
  await using server = await proxyServer({ subscribe: options }, { ...everything, channels: rooms });
  await using client = await connected(server);
  client.sendJson({ id: 2, subscribe: { channel: "room:1" } });
  assert.deepEqual(await client.nextJson(), { id: 2, error: { code: 1404, message: "no room" } });
});

Deno.test("a backend that is down is asked rarely, and used again when it is back", async () => {
  const clock = new FakeClock();
  const port = freePort();
  const options = { url: `http://127.0.0.1:${port}/secret-path?key=s3cret`, namespaces: ["room"] };
  await using server = await proxyServer({
    publish: options,
    connect: { url: "http://127.0.0.1:1", whenDown: "allow" },
  }, {
    ...everything,
    channels: rooms,
    server: { clock },
  });
  await using client = await connected(server);
  let id = 1;
  const publish = async () => {
    client.sendJson({ id: ++id, publish: { channel: "room:1", data: id } });
    return (await client.nextJson()).error;
  };
  for (let i = 0; i < 5; i++) assert.deepEqual(await publish(), TEMPORARY);
  assert.equal(server.proxies.problems.length, 1);
  await using backend = backendServer(undefined, port);
  for (let i = 0; i < 20; i++) assert.deepEqual(await publish(), TEMPORARY);
  assert.equal(backend.count, 0);
  clock.advance(2_000);
  assert.equal(await publish(), undefined);
  assert.equal(backend.count, 1);
  assert.deepEqual(server.proxies.problems, []);
  assert.equal(await publish(), undefined);
  const logged = JSON.stringify(server.test.log.take());
  assert.ok(logged.includes(`127.0.0.1:${port}`), logged);
  assert.ok(!logged.includes("s3cret"), logged);
});

Deno.test("what the operator allows without the backend goes on", async () => {
  const url = "http://127.0.0.1:1/";
  const more = { url, whenDown: "allow" as const, namespaces: ["room"] };
  await using server = await proxyServer(
    { connect: { url, whenDown: "allow" }, subscribe: more, publish: more },
    { ...everything, channels: rooms },
  );
  await using client = await connected(server);
  client.sendJson({ id: 2, subscribe: { channel: "room:1" } });
  assert.equal((await client.nextJson()).error, undefined);
  client.sendJson({ id: 3, publish: { channel: "room:1", data: 1 } });
  assert.equal((await client.nextJson()).push.pub.data, 1);
});

Deno.test("a sign-in that nothing can decide about is refused for now, over every protocol", async () => {
  await using server = await proxyServer({ connect: { url: "http://127.0.0.1:1/" } }, everything);
  await assert.rejects(server.test.connect("/relay/acme"), /503/);
  await using client = await server.test.connect("/connection/websocket");
  client.sendJson({ id: 1, connect: {} });
  assert.deepEqual(await client.nextJson(), { id: 1, error: TEMPORARY });
  await using other = await server.test.connect("/ws");
  assert.equal((await other.nextJson()).data.code, "UNAVAILABLE");
  assert.equal((await other.closed).code, 3004); // Clients reconnect after it.
});

Deno.test("one user whose requests fail does not cut off the others", () => {
  let now = 0;
  const breaker = new Breaker(() => now, () => 0.5);
  for (let i = 0; i < 100; i++) assert.equal(breaker.failed("answer", "user mallory"), false);
  breaker.failed("answer", "user a");
  assert.equal(breaker.failed("answer", "user b"), true);
  assert.equal(breaker.admit(), false);
  now = 1_000;
  assert.equal(breaker.admit(), true);
  assert.equal(breaker.admit(), false, "one request tries");
  breaker.failed("unreachable", "user a");
  now = 2_999;
  assert.equal(breaker.admit(), false, "the interval grows");
  now = 3_000;
  assert.equal(breaker.admit(), true);
  assert.equal(breaker.succeeded(), true);
  assert.ok(breaker.admit() && breaker.admit());
});

Deno.test("requests beyond the limit wait for a time, and an account has half of the places", async () => {
  const clock = new FakeClock();
  const places = new Places(2, 500);
  await places.take(clock, "a");
  await assert.rejects(places.take(clock, "a"), { code: "too_many_requests" });
  await places.take(clock, "b");
  const third = places.take(clock, "c");
  places.release("a");
  await within("a place", third);
  const late = assert.rejects(places.take(clock, "d"), { code: "unavailable" });
  clock.advance(500);
  await late;
  const many = Array.from({ length: 200 }, () => places.take(clock, undefined));
  await assert.rejects(places.take(clock, undefined), PlugboardError);
  places.clear(new Error("down"));
  assert.ok((await Promise.allSettled(many)).every(({ status }) => status === "rejected"));
  await turn();
});

Deno.test("items become due in their second, and can be moved and deleted", () => {
  const schedule = new Schedule<{ name: string }>();
  const [a, b, c] = [{ name: "a" }, { name: "b" }, { name: "c" }];
  schedule.set(a, 1_500);
  schedule.set(b, 1_500);
  schedule.set(c, 1_000);
  schedule.set(c, 5_000);
  schedule.delete(b);
  assert.deepEqual(schedule.take(1_999), []);
  assert.deepEqual(schedule.take(2_000), [a]);
  assert.deepEqual(schedule.take(60_000), [c]);
});

Deno.test("options that cannot work are refused, without the secrets in them", () => {
  const url = "http://127.0.0.1:1/";
  const refused = (options: Parameters<typeof proxies>[0], text: RegExp) =>
    assert.throws(() => proxies(options), (error: Error) => {
      assert.match(error.message, text);
      assert.ok(!error.message.includes("s3cret"));
      return true;
    });
  refused({ connect: { url: "ftp://s3cret" } }, /connect.url/);
  refused({ connect: { url: "http://ann:s3cret@127.0.0.1/" } }, /connect.url/);
  refused({ connect: { url, timeoutMs: 0 } }, /connect.timeoutMs/);
  refused({ connect: { url, httpHeaders: ["Host"] } }, /connect.httpHeaders/);
  refused({ connect: { url, emulatedHeaders: ["a\nb"] } }, /connect.emulatedHeaders/);
  refused({ connect: { url, staticHeaders: { "x-key": "s3cret\nx" } } }, /connect.staticHeaders/);
  refused({ connect: { url, statuses: { 404: { error: { code: 0, message: "" } } } } }, /connect.statuses/);
  refused({ publish: { url, namespaces: [] } }, /publish.namespaces/);
  const allowed = { url, namespaces: [""], whenDown: "allow" }; // refused by its type, too
  refused({ rpc: allowed }, /rpc.whenDown/);
});

Deno.test("a stop ends requests that wait for the backend", async () => {
  const answers: (() => void)[] = [];
  await using backend = backendServer(() => new Promise((resolve) => answers.push(() => resolve({}))));
  const options = { url: backend.url, timeoutMs: 60_000, namespaces: ["room"] };
  const server = await proxyServer({ publish: options }, { ...everything, channels: rooms });
  await using client = await connected(server);
  client.sendJson({ id: 2, publish: { channel: "room:1", data: 1 } });
  await until("the request", () => answers.length === 1);
  await within("the stop", server.test.server.stop());
  answers[0]!();
});
