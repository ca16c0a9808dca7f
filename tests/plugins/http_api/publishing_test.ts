import assert from "node:assert/strict";
import { heard } from "../../kit/centrifuge.ts";
import { apiServer } from "./kit.ts";

Deno.test("B09 a publication over HTTP reaches subscribers, keeps the digits of its numbers, and is in the history", async () => {
  await using server = await apiServer();
  await using raw = await server.connect(`/connection/websocket?api_key=${"k".repeat(32)}`);
  raw.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"news"}}');
  while (!(await raw.nextText()).includes('"id":2'));
  const { status, body } = await server.call(
    "publish",
    '{"channel":"news","data": {"price": 1.10,\n"id":12345678901234567890}}',
  );
  assert.deepEqual([status, Object.keys(body.result)], [200, ["offset", "epoch"]]);
  assert.equal(body.result.offset, 1);
  assert.match(await raw.nextText(), /"data":\{"price": 1\.10,"id":12345678901234567890\}/);
  const response = await server.fetch("/api/history", {
    method: "POST",
    headers: { authorization: `apikey ${"k".repeat(32)}` },
    body: '{"channel":"news","limit":-1}',
  });
  assert.equal(
    await response.text(),
    `{"result":{"publications":[{"data":{"price": 1.10,"id":12345678901234567890},"offset":1}],"offset":1,` +
      `"epoch":"${body.result.epoch}"}}`,
  );
});

Deno.test("B09 data may be any JSON value, null included; without data the request is refused", async () => {
  await using server = await apiServer();
  for (const data of [null, 0, "", false, [], {}, "null"]) {
    await server.result("publish", { channel: "any", data });
  }
  const { publications } = await server.result("history", { channel: "any", limit: -1 });
  assert.deepEqual(publications.map(({ data }: { data: unknown }) => data), [
    null,
    0,
    "",
    false,
    [],
    {},
    "null",
  ]);
  const refused = async (params: object, reason: string) => {
    const { body } = await server.call("publish", params);
    assert.deepEqual(body, { error: { code: 107, message: `bad request: ${reason}` } });
  };
  await refused({ channel: "any" }, "data must be given");
  await refused({ channel: "", data: 1 }, "channel must not be empty");
  await refused({ channel: "any", b64data: "*" }, "b64data must be base64");
});

Deno.test("B09 skip_history publishes to current subscribers only, and tags are sent with the payload", async () => {
  await using server = await apiServer();
  await using client = await server.user("ann");
  const subscription = client.sdk.newSubscription("news");
  const publications = heard(subscription, "publication");
  subscription.subscribe();
  await subscription.ready();
  assert.deepEqual(await server.result("publish", { channel: "news", data: 1, skip_history: true }), {});
  assert.equal((await publications.next()).data, 1);
  await server.result("publish", { channel: "news", data: 2, tags: { kind: "order" } });
  assert.deepEqual((await publications.next()).tags, { kind: "order" });
  const { publications: kept, offset } = await server.result("history", { channel: "news", limit: -1 });
  assert.deepEqual([kept, offset], [[{ data: 2, offset: 1, tags: { kind: "order" } }], 1]);
});

Deno.test("B09 broadcast answers for each channel in the order of the request", async () => {
  await using server = await apiServer({ channels: { onlyKnown: true, namespaces: { known: {} } } });
  const { responses } = await server.result("broadcast", {
    channels: ["a", "nope:x", "", "known:b", "/bad"],
    data: { t: 1 },
  });
  assert.deepEqual(
    responses.map(({ result, error }: { result?: { offset: number }; error?: unknown }) =>
      result?.offset ?? error
    ),
    [
      1,
      { code: 102, message: 'Unknown channel: "nope:x"' },
      { code: 107, message: "bad request: A channel's name must not be empty" },
      1,
      { code: 107, message: "bad request: Invalid channel name format" },
    ],
  );
  assert.equal((await server.call("broadcast", { channels: [], data: 1 })).body.error.code, 107);
  assert.equal((await server.call("broadcast", { channels: ["a"] })).body.error.code, 107);
});

Deno.test("B09 a backend publishes where clients may not, and only where its key allows it", async () => {
  const apiKeys = [{ name: "shop", key: "s".repeat(32), permissions: ["write:orders:*", "read:*"] }];
  const namespaces = { orders: { publish: "nobody" as const } };
  await using server = await apiServer({ apiKeys, channels: { namespaces } });
  const shop = { "x-api-key": "s".repeat(32) };
  assert.equal((await server.call("publish", { channel: "orders:1", data: 1 }, shop)).body.result.offset, 1);
  const refused = await server.call("publish", { channel: "news", data: 1 }, shop);
  assert.equal(refused.status, 403);
  assert.deepEqual(refused.body.error, {
    code: "permission_denied",
    message: "This needs the permission write:news",
  });
  const { body } = await server.call("broadcast", { channels: ["orders:1", "news"], data: 1 }, shop);
  assert.deepEqual(
    body.result.responses.map(({ error }: { error?: { code: number } }) => error?.code),
    [undefined, 103],
  );
  const batch = { commands: [{ publish: { channel: "news", data: 1 } }, { disconnect: { user: "ann" } }] };
  const replies = (await server.call("batch", batch, shop)).body.replies;
  assert.deepEqual(replies.map(({ error }: { error?: { code: number } }) => error?.code), [103, 103]);
});

Deno.test("B09 a batch answers each command in order, also in parallel, with the digits as written", async () => {
  await using server = await apiServer();
  for (const parallel of [false, true]) {
    const channel = `batch-${parallel}`;
    const body = `{"parallel":${parallel},"commands":[{"publish":{"channel":"${channel}","data":1.50}},
      {"publish":{"channel":"${channel}"}},{"nothing":{}},{"batch":{"commands":[]}},{"presence_stats":{"channel":"${channel}"}},
      {"publish":null},{},{"publish":{"data":"a ] , \\" text","channel":"${channel}"}},{"connections":{}}]}`;
    const replies = await server.result("batch", body);
    assert.deepEqual(
      replies.map(({ error, ...reply }: { error?: { code: number } }) =>
        error?.code ?? Object.keys(reply)[0]
      ),
      ["publish", 107, 104, 104, "presence_stats", 107, 104, "publish", 104],
    );
    assert.equal(replies[2].error.message, 'Method not found: "nothing"');
    const { publications } = (await server.bus.history(channel)) as {
      publications: readonly { payload: { text: string } }[];
    };
    assert.deepEqual(publications.map(({ payload }) => payload.text), ["1.50", '"a ] , \\" text"']);
  }
});

Deno.test("B09 the older form runs commands on lines, with methods by name or number", async () => {
  await using server = await apiServer();
  const { status, body } = await server.call(
    "",
    '{"id":1,"method":"publish","params":{"channel":"old","data":1.0}}\n' +
      '{"method":0,"params":{"channel":"old","data":2}}{"id":7,"method":"HISTORY","params":{"channel":"old","limit":1}}\n' +
      '{"id":8,"method":"nope","params":{}}\n{"id":9,"method":"history","params":{"channel":5}}\n{"id":10,"method":"info"}\n',
  );
  assert.equal(status, 200);
  const lines = body.split("\n");
  const replies = lines.map((line: string) => JSON.parse(line));
  assert.deepEqual(replies.map(({ id }: { id?: number }) => id), [1, undefined, 7, 8, 9, 10]);
  assert.equal(replies[1].result.offset, 2);
  assert.match(lines[2], /"data":1\.0,/);
  assert.deepEqual([replies[3].error.code, replies[4].error.code], [104, 107]);
  assert.equal(replies[5].result.nodes.length, 1);
  for (
    const wrong of [
      "",
      " \n",
      "[]",
      "5",
      '{"method":{}}',
      '{"id":"x","method":"info"}',
      '{"method":"info"',
      "x",
    ]
  ) {
    assert.equal((await server.call("", wrong)).status, 400, wrong);
  }
});
