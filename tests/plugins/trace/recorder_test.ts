import assert from "node:assert/strict";
import { channels, Payload } from "../../../plugins/channels.ts";
import { trace, type TraceOptions } from "../../../plugins/trace.ts";
import { FakeClock, serve } from "../../kit/mod.ts";

async function recorderServer(options: TraceOptions = {}) {
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock();
  const bus = channels();
  const recordFile = `${folder}/recording.jsonl`;
  const tracing = trace({ channels: bus.api, recordFile, allow: (_, ip) => ip === "127.0.0.1", ...options });
  const server = await serve({ clock }, bus, tracing);
  const stop = server[Symbol.asyncDispose];
  return Object.assign(server, {
    bus: bus.api,
    clock,
    recorder: tracing.api.recorder,
    read: () => new Response(tracing.api.recorder.read()).text(),
    async [Symbol.asyncDispose]() {
      await stop();
      await Deno.remove(folder, { recursive: true });
    },
  });
}

Deno.test("B14 the flight recorder keeps what happened, without secrets, and ends by itself", async () => {
  await using server = await recorderServer();
  await server.bus.publish("before", 1);
  assert.equal(server.recorder.status().bytes, 0);
  server.recorder.start(60_000);
  await server.bus.publish("chat", { text: "hello", url: "https://x.example/?token=abcdefghijkl" });
  const text = await server.read();
  const events = text.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(events.map(({ event }) => event), ["publish", "published"]);
  assert.ok(text.includes("hello") && !text.includes("abcdefghijkl"), text);
  server.clock.advance(60_000);
  assert.equal(server.recorder.status().running, false);
  await server.bus.publish("after", 1);
  assert.ok(!(await server.read()).includes("after"));
  const response = await server.fetch("/api/trace/recording");
  assert.equal(response.headers.get("content-disposition"), 'attachment; filename="recording.jsonl"');
  assert.equal(await response.text(), text);
});

Deno.test("B14 a recording is bounded: the oldest events are dropped", async () => {
  await using server = await recorderServer({ maxRecordBytes: 40_000 });
  server.recorder.start(60_000);
  for (let i = 0; i < 1_000; i++) {
    await server.bus.publish("load", { i, text: "x".repeat(100) });
    server.clock.advance(i % 20 === 0 ? 100 : 0); // writes
  }
  const text = await server.read();
  assert.ok(text.length < 50_000, String(text.length));
  assert.ok(text.includes('\\"i\\":999') && !text.includes('\\"i\\":1,'), "the latest are kept");
  for (const line of text.trim().split("\n")) JSON.parse(line);
  server.recorder.stop();
  server.recorder.stop();
});

Deno.test("B14 a recording that cannot be written ends, and says so", async () => {
  await using server = await recorderServer({ recordFile: "/dev/full" });
  server.recorder.start(60_000);
  await server.bus.publish("news", 1);
  assert.equal(server.recorder.status().running, true);
  server.clock.advance(100);
  assert.match((await server.log.next()).message, /cannot write the recording/);
  assert.equal(server.recorder.status().running, false);
  await server.bus.publish("news", 2);
  server.clock.advance(100);
  assert.equal(server.log.size, 0);
});

Deno.test("B14 only those who may follow may read the recording", async () => {
  await using server = await recorderServer({ allow: (request) => request.headers.has("x-admin") });
  const statusOf = async (method: string, headers: Record<string, string> = {}) => {
    const response = await server.fetch("/api/trace/recording", { method, headers });
    await response.body?.cancel();
    return response.status;
  };
  for (const method of ["GET", "HEAD"]) {
    assert.equal(await statusOf(method), 403, method);
    assert.equal(await statusOf(method, { "x-admin": "yes" }), 200, method);
  }
});

Deno.test("B14 a recorder that always runs begins with the server, goes on with the file, and leaves deliveries out", async () => {
  const folder = await Deno.makeTempDir();
  const recordFile = `${folder}/recording.jsonl`;
  for (const run of [1, 2]) {
    await using server = await recorderServer({ recordFile, alwaysRecord: true });
    const { running, until } = server.recorder.status();
    assert.deepEqual([running, until], [true, undefined]);
    server.bus.subscribe("news", () => {});
    await server.bus.publish("news", { run });
  }
  const lines = (await Deno.readTextFile(recordFile)).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ event, detail }) => [event, detail.data]), [
    ["publish", '{"run":1}'],
    ["published", undefined],
    ["publish", '{"run":2}'],
    ["published", undefined],
  ]);
  await Deno.remove(folder, { recursive: true });
  assert.throws(() => trace({ alwaysRecord: true }), /"alwaysRecord" must be false without a recordFile/);
});

Deno.test("B14 secrets in lists, in tags and in escaped names do not reach the disk", async () => {
  await using server = await recorderServer({ alwaysRecord: true });
  await server.bus.publish("chat", { tokens: ["abcdefghi-1"], headers: [["x-api-key", "abcdefghi-2"]] });
  await server.bus.publish("chat", Payload.of('{"pass\\u0077ord":"abcdefghi-3"}'));
  await server.bus.publish("chat", 1, { tags: { token: "abcdefghi-5", from: "https://u:abcdefghi-6@x" } });
  await server.bus.publish("chat", { body: '{"tok\\u0065ns":["abcdefghi-4"]}' });
  const text = await server.read();
  assert.ok(text.includes("publish") && !text.includes("abcdefghi"), text);
});

Deno.test("B14 downloads of the recording count as followers until they end", async () => {
  const folder = await Deno.makeTempDir();
  const recordFile = `${folder}/recording.jsonl`;
  // More than the buffers of a socket hold.
  await Deno.writeTextFile(recordFile, `${JSON.stringify("x".repeat(999))}\n`.repeat(8_000));
  await using server = await recorderServer({ recordFile, maxFollowers: 2, alwaysRecord: true });
  const download = () => server.fetch("/api/trace/recording");
  const [one, two] = [server.recorder.read(), await download()];
  await one.cancel();
  await two.text();
  const follower = await server.fetch("/api/trace?channel=news");
  const held = await download();
  const refused = await download();
  assert.equal(refused.status, 429);
  await refused.body?.cancel();
  await held.text();
  const again = await download();
  assert.equal(again.status, 200);
  await again.text();
  await follower.body?.cancel();
  await Deno.remove(folder, { recursive: true });
});
