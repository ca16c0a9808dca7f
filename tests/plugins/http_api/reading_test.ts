import assert from "node:assert/strict";
import { apiServer } from "./kit.ts";

Deno.test("B09 history reads pages from a position, also backwards", async () => {
  await using server = await apiServer();
  for (let i = 1; i <= 5; i++) await server.result("publish", { channel: "news", data: i });
  const read = async (params: object) => {
    const { publications, offset } = await server.result("history", { channel: "news", ...params });
    return [publications.map(({ data }: { data: number }) => data), offset];
  };
  const { epoch } = await server.result("history", { channel: "news" });
  assert.deepEqual(await read({}), [[], 5], "without a limit only the position");
  assert.deepEqual(await read({ limit: -1 }), [[1, 2, 3, 4, 5], 5]);
  assert.deepEqual(await read({ limit: 2, since: { offset: 1, epoch } }), [[2, 3], 5]);
  assert.deepEqual(await read({ limit: 2, reverse: true }), [[5, 4], 5]);
  assert.deepEqual(await read({ limit: 2, reverse: true, since: { offset: 3, epoch } }), [[2, 1], 5]);
  const lost = await server.call("history", { channel: "news", since: { offset: 1, epoch: "other" } });
  assert.deepEqual(lost.body, {
    error: { code: 112, message: "unrecoverable position: The position is of another history" },
  });
  assert.deepEqual(await server.result("history_remove", { channel: "news" }), {});
  assert.deepEqual(await read({ limit: -1 }), [[], 5], "the offset goes on");
  assert.deepEqual(Object.keys(await server.result("history", { channel: "empty" })), [
    "publications",
    "offset",
    "epoch",
  ]);
});

Deno.test("B09 what a namespace does not offer is not available, and an unknown channel is unknown", async () => {
  const namespaces = { plain: { historySize: 0, presence: false } };
  await using server = await apiServer({ channels: { onlyKnown: true, namespaces } });
  for (const method of ["history", "history_remove", "presence", "presence_stats"]) {
    const codeOf = async (channel: string) => (await server.call(method, { channel })).body.error?.code;
    assert.deepEqual(
      [await codeOf("plain:a"), await codeOf("nope:a"), await codeOf("a//b")],
      [108, 102, 107],
      method,
    );
  }
});

Deno.test("B09 errors have HTTP statuses in the transport error mode", async () => {
  const namespaces = { plain: { historySize: 0 } };
  await using server = await apiServer({ channels: { onlyKnown: true, namespaces } });
  const mode = { "x-centrifugo-error-mode": "transport" };
  server.methods.define("broken", { run: () => Promise.reject(new Error("a secret")) });
  const wrong: [string, object, number, number][] = [
    ["publish", { channel: "nope:a", data: 1 }, 404, 102],
    ["rpc", { method: "missing" }, 404, 104],
    ["rpc", { method: "broken" }, 500, 100],
    ["publish", {}, 400, 107],
    ["history", { channel: "plain:a" }, 400, 108],
    ["history", { channel: "a", since: { offset: 1, epoch: "x" } }, 416, 112],
  ];
  for (const [method, params, status, code] of wrong) {
    const answer = await server.call(method, params, mode);
    assert.deepEqual([answer.status, answer.body.code, Object.keys(answer.body)], [status, code, [
      "code",
      "message",
    ]]);
  }
  assert.equal((await server.call("publish", { channel: "a", data: 1 }, mode)).body.result.offset, 1);
});

Deno.test("B09 channels and connections are listed by pattern, user and channel, in pages", async () => {
  await using server = await apiServer();
  await using ann = await server.user("ann");
  await using bob = await server.user("bob");
  for (const channel of ["chat:1", "chat:2", "news"]) {
    for (const { sdk } of channel === "news" ? [ann, bob] : [ann]) {
      const subscription = sdk.newSubscription(channel);
      subscription.subscribe();
      await subscription.ready();
    }
  }
  assert.deepEqual((await server.result("channels", {})).channels, {
    "chat:1": { num_clients: 1 },
    "chat:2": { num_clients: 1 },
    "news": { num_clients: 2 },
  });
  assert.deepEqual(Object.keys((await server.result("channels", { pattern: "chat:*" })).channels), [
    "chat:1",
    "chat:2",
  ]);
  const first = await server.result("channels", { limit: 2 });
  assert.deepEqual([Object.keys(first.channels), first.cursor], [["chat:1", "chat:2"], "chat:2"]);
  const second = await server.result("channels", { limit: 2, cursor: first.cursor });
  assert.deepEqual(second, { channels: { news: { num_clients: 2 } } });

  const users = async (params: object) => {
    const { connections } = await server.result("connections", params);
    return (Object.values(connections) as { user: string }[]).map(({ user }) => user).sort();
  };
  assert.deepEqual(await users({}), ["ann", "bob"]);
  assert.deepEqual(await users({ user: "ann" }), ["ann"]);
  assert.deepEqual(await users({ channel: "chat:1" }), ["ann"]);
  assert.deepEqual(await users({ channel: "news" }), ["ann", "bob"]);
  assert.deepEqual(await users({ channel: "news", user: "bob" }), ["bob"]);
  const page = await server.result("connections", { limit: 1 });
  assert.equal((await users({ limit: 1, cursor: page.cursor })).length, 1);
  assert.deepEqual(await users({ limit: 1, cursor: "~" }), []);

  const [id] = Object.keys((await server.result("connections", { user: "ann" })).connections);
  const about = await server.result("connection", { client: id });
  assert.deepEqual([about.client, about.protocol, about.num_channels], [id, "centrifuge", 3]);
  assert.deepEqual(Object.keys(about.channels), ["chat:1", "chat:2", "news"]);
  assert.equal(about.channels.news.server_side, false);
  const [node] = (await server.result("info", {})).nodes;
  assert.deepEqual([node.num_clients, node.num_users, node.num_channels, node.num_subs], [2, 2, 3, 4]);
});
