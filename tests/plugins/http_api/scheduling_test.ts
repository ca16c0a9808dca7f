import assert from "node:assert/strict";
import { heard } from "../../kit/centrifuge.ts";
import { apiServer } from "./kit.ts";

Deno.test("B11 a publication with an idempotency key has one effect and one answer, also twice at once and in a batch", async () => {
  await using server = await apiServer();
  const request = { channel: "news", data: 1, idempotency_key: "once" };
  const both = await Promise.all([server.result("publish", request), server.result("publish", request)]);
  assert.deepEqual(both[0], both[1]);
  const batch = { commands: [{ publish: request }, { publish: { ...request, channel: "more" } }] };
  const replies = await server.result("batch", batch);
  assert.deepEqual(replies.map(({ publish }: { publish: { offset: number } }) => publish.offset), [1, 1]);
  const { responses } = await server.result("broadcast", {
    channels: ["news", "more", "third"],
    data: 1,
    idempotency_key: "once",
  });
  assert.deepEqual(responses.map(({ result }: { result: { offset: number } }) => result.offset), [1, 1, 1]);
  for (const channel of ["news", "more", "third"]) {
    assert.equal((await server.result("history", { channel })).offset, 1, channel);
  }
});

Deno.test("B11 a call with an idempotency key runs once, unless it fails", async () => {
  await using server = await apiServer();
  let calls = 0;
  server.methods.define("count", {
    async run(args) {
      await new Promise((resolve) => setImmediate(resolve));
      if (++calls === 1) throw new Error("the first one fails");
      return { calls, args };
    },
  });
  const request = { method: "count", params: 1, idempotency_key: "k" };
  assert.equal((await server.call("rpc", request)).body.error.code, 100);
  const [one, two] = await Promise.all([server.result("rpc", request), server.result("rpc", request)]);
  assert.deepEqual([one, two, calls], [{ data: { calls: 2, args: 1 } }, { data: { calls: 2, args: 1 } }, 2]);
  assert.equal((await server.result("rpc", { ...request, idempotency_key: "other" })).data.calls, 3);
  assert.equal((await server.result("rpc", { method: "count" })).data.calls, 4);
});

Deno.test("B11 an older version is dropped, of the same epoch", async () => {
  await using server = await apiServer();
  const offsetAfter = async (params: object) =>
    (await server.result("publish", { channel: "news", data: 1, ...params })).offset;
  assert.equal(await offsetAfter({ version: 5 }), 1);
  assert.equal(await offsetAfter({ version: 5 }), 1);
  assert.equal(await offsetAfter({ version: 4 }), 1);
  assert.equal(await offsetAfter({ version: 6 }), 2);
  assert.equal(await offsetAfter({ version: 1, version_epoch: "new" }), 3);
  assert.equal(await offsetAfter({}), 4);
});

Deno.test("B11 a publication is scheduled, listed, cancelled, and delivered when it is due, as it was written", async () => {
  await using server = await apiServer();
  await using client = await server.user("ann");
  const subscription = client.sdk.newSubscription("news");
  const publications = heard(subscription, "publication");
  subscription.subscribe();
  await subscription.ready();
  const { id } = await server.result("schedule", { channel: "news", data: "never", delay: 3_600_000 });
  const weekly = {
    channel: "news",
    data: "weekly",
    every: "0 9 * * MON",
    timezone: "Europe/Berlin",
    id: "weekly",
  };
  await server.result("schedule", weekly);
  const due = await server.call(
    "schedule",
    '{"channel":"news","data":{"n":1.10},"delay":50,"tags":{"a":"b"},"id":"soon"}',
  );
  assert.equal(due.body.result.id, "soon");
  const { scheduled } = await server.result("schedule/list", { channel: "news" });
  assert.deepEqual(
    scheduled.slice(0, 2).map(({ id, every }: { id: string; every?: string }) => [id, every]),
    [
      [id, undefined],
      ["weekly", "0 9 * * MON"],
    ],
  );
  const { data, tags } = await publications.next();
  assert.deepEqual([data, tags], [{ n: 1.1 }, { a: "b" }]);
  const { publications: [kept] } = await server.bus.history("news");
  assert.equal(kept?.payload.text, '{"n":1.10}');
  assert.deepEqual(await server.result("schedule/cancel", { channel: "news", id }), {});
  const again = await server.call("schedule/cancel", { channel: "news", id });
  assert.deepEqual([again.status, again.body.error.code], [404, "not_found"]);
  for (
    const wrong of [{}, { at: 1, delay: 1 }, { every: "no pattern" }, { delay: -1 }, {
      every: "* * * * *",
      timezone: "x",
    }]
  ) {
    const { status, body } = await server.call("schedule", { channel: "news", data: 1, ...wrong });
    assert.deepEqual([status, body.error.code], [400, "bad_request"], JSON.stringify(wrong));
  }
});

Deno.test("B11 publish publishes later with a moment, a delay or a pattern, also in a batch, and never at once", async () => {
  await using server = await apiServer();
  const channel = "news";
  const first = await server.result("publish", { channel, data: 1, delay: 3_600_000, id: "first" });
  assert.deepEqual([first.id, first.channel], ["first", channel]);
  const batch = { commands: [{ publish: { channel, data: 2, every: "0 9 * * *", id: "second" } }] };
  const [{ publish }] = await server.result("batch", batch);
  assert.equal(publish.id, "second");
  const { scheduled } = await server.result("schedule/list", { channel });
  assert.deepEqual(scheduled.map(({ id }: { id: string }) => id), ["first", "second"]);
  const both = await server.call("publish", { channel, data: 1, at: 1, delay: 1 });
  const broadcast = await server.call("broadcast", { channels: [channel], data: 1, delay: 1 });
  for (const { body } of [both, broadcast]) assert.equal(body.error.code, 107);
  assert.equal((await server.bus.history(channel)).top.offset, 0);
});

Deno.test("B11 a call with an idempotency key runs once, also if it is repeated after a restart", async () => {
  const folder = await Deno.makeTempDir();
  let runs = 0;
  for (let start = 0; start < 2; start++) {
    await using server = await apiServer({ path: `${folder}/a.db` });
    server.methods.define("count", { run: () => ++runs });
    const call = () => server.result("rpc", { method: "count", idempotency_key: "k" });
    assert.deepEqual(await Promise.all([call(), call()]), [{ data: 1 }, { data: 1 }]);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a user has a limited number of scheduled publications, and cannot replace those of others", async () => {
  const ann = "a".repeat(32);
  await using server = await apiServer({
    apiKeys: [{ name: "ann", key: ann, user: "ann", permissions: ["write:news"] }],
    schedule: { maxPerUser: 2 },
  });
  const add = (id: string, key?: string) =>
    server.call(
      "schedule",
      { channel: "news", data: 1, delay: 60_000, id },
      key === undefined ? {} : { "x-api-key": key },
    );
  assert.equal((await add("0")).status, 200);
  const statuses = [];
  for (const id of ["1", "0", "2", "3"]) statuses.push((await add(id, ann)).status);
  assert.deepEqual(statuses, [200, 409, 200, 400]);
});
