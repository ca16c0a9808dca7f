/** The messages of the JSON encoding. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { PlugboardError } from "../../../core/mod.ts";
import { RpcError } from "../../../plugins/rpc.ts";
import type { Subscribed } from "../../../plugins/channels.ts";
import { errorReply } from "../../../plugins/protocols/centrifuge/codes.ts";
import { jsonCodec } from "../../../plugins/protocols/centrifuge/json_codec.ts";
import { ttlOf } from "../../../plugins/protocols/centrifuge/methods.ts";
import { Payload } from "../../../plugins/shared/payload.ts";

const anyInfo = fc.record({
  user: fc.string(),
  client: fc.string(),
  connInfo: fc.json(),
  chanInfo: fc.json(),
}, { requiredKeys: ["user", "client"] });

const anyPublication = fc.record({
  offset: fc.nat(),
  payload: fc.json().map((json) => Payload.fromJson(json)),
  time: fc.nat(),
  info: anyInfo,
  tags: fc.dictionary(fc.string(), fc.string()),
}, { requiredKeys: ["offset", "payload", "time"] });

const parse = (text: unknown) => JSON.parse(text as string);

Deno.test("any publication is encoded without line breaks and zero values", () => {
  fc.assert(fc.property(fc.string(), anyPublication, (channel, publication) => {
    const text = jsonCodec.publication(channel, publication) as string;
    const { offset, payload, info, tags } = publication;
    const shown = info && {
      user: info.user,
      client: info.client,
      ...(info.connInfo !== undefined && { conn_info: parse(info.connInfo) }),
      ...(info.chanInfo !== undefined && { chan_info: parse(info.chanInfo) }),
    };
    const pub = {
      data: payload.value(),
      ...(shown && { info: shown }),
      ...(offset > 0 && { offset }),
      ...(tags && { tags }),
    };
    // Compared as text, because a comparison of objects ignores keys such as `__proto__`.
    assert.equal(JSON.stringify(parse(text)), JSON.stringify({ push: { channel, pub } }));
    assert.ok(!text.includes("\n"));
  }));
});

Deno.test("every push has the channel and its kind", () => {
  const info = { user: "", client: "c" };
  const subscribed = {
    recoverable: true,
    positioned: true,
    wasRecovering: false,
    recovered: false,
    publications: [],
    position: { offset: 0, epoch: "e" },
    data: "[1]",
  };
  assert.deepEqual(parse(jsonCodec.join("a", info)), { push: { channel: "a", join: { info } } });
  assert.deepEqual(parse(jsonCodec.leave("a", info)), { push: { channel: "a", leave: { info } } });
  assert.deepEqual(parse(jsonCodec.subscribed("a", subscribed)), {
    push: { channel: "a", subscribe: { recoverable: true, positioned: true, epoch: "e", data: [1] } },
  });
  assert.deepEqual(parse(jsonCodec.unsubscribed("a", { code: 2500, reason: "insufficient state" })), {
    push: { channel: "a", unsubscribe: { code: 2500, reason: "insufficient state" } },
  });
});

/** A clock at a time. */
const at = (now: number) => ({ wallTime: () => now });

/** The result of a subscribe, as a reply carries it. */
function subscribeResult(subscribed: Subscribed, now: number) {
  const ttl = ttlOf(subscribed.expiresAt, at(now));
  return parse(jsonCodec.reply(1, { name: "subscribe", subscribed, ttl })).subscribe;
}

Deno.test("the result of a subscription without a position is empty", () => {
  const plain = {
    recoverable: false,
    positioned: false,
    wasRecovering: false,
    recovered: false,
    publications: [],
  };
  assert.deepEqual(subscribeResult(plain, 0), {});
});

Deno.test("the result of a recovery has all publications", () => {
  const publications = [8, 9].map((offset) => ({ offset, payload: Payload.of(offset - 7), time: 0 }));
  const recovered = {
    recoverable: true,
    positioned: true,
    wasRecovering: true,
    recovered: true,
    publications,
    position: { offset: 7, epoch: "e" },
    expiresAt: 61_500,
  };
  assert.deepEqual(subscribeResult(recovered, 1_000), {
    expires: true,
    ttl: 61,
    recoverable: true,
    positioned: true,
    epoch: "e",
    offset: 7,
    was_recovering: true,
    recovered: true,
    publications: [{ data: 1, offset: 8 }, { data: 2, offset: 9 }],
  });
});

Deno.test("a time to live is at least a second and at most what the SDK's timers can hold", () => {
  assert.equal(ttlOf(undefined, at(0)), undefined);
  const refreshed = (expiresAt: number, now: number) => jsonCodec.refreshed(ttlOf(expiresAt, at(now)));
  assert.equal(refreshed(500, 1_000), `{"push":{"refresh":{"expires":true,"ttl":1}}}`);
  assert.equal(refreshed(3_001, 1_000), `{"push":{"refresh":{"expires":true,"ttl":3}}}`);
  assert.equal(refreshed(1e15, 0), `{"push":{"refresh":{"expires":true,"ttl":2147000}}}`);
  assert.equal(jsonCodec.refreshed(undefined), `{"push":{"refresh":{}}}`);
});

Deno.test("presence has the info of tokens, or else the data of updates", () => {
  const seen = { joinedAt: 1, lastSeenAt: 1 };
  const clients = [
    {
      client: "c1",
      user: "u",
      data: undefined,
      info: { client: "c1", user: "u", connInfo: "1", chanInfo: "2" },
      ...seen,
    },
    { client: "bot", user: "bot", data: { busy: true }, ...seen },
  ];
  assert.deepEqual(parse(jsonCodec.reply(1, { name: "presence", clients })).presence, {
    presence: {
      c1: { user: "u", client: "c1", conn_info: 1, chan_info: 2 },
      bot: { user: "bot", client: "bot", chan_info: { busy: true } },
    },
  });
  const nobody = jsonCodec.reply(1, { name: "presence", clients: [] });
  assert.equal(nobody, `{"id":1,"presence":{"presence":{}}}`);
});

const codes: [code: string, number: number, temporary: boolean][] = [
  ["internal", 100, true],
  ["timeout", 100, true],
  ["unavailable", 100, true],
  ["unauthorized", 101, false],
  ["unknown_channel", 102, false],
  ["permission_denied", 103, false],
  ["method_not_found", 104, false],
  ["already_subscribed", 105, false],
  ["limit_exceeded", 106, false],
  ["bad_request", 107, false],
  ["not_available", 108, false],
  ["token_expired", 109, false],
  ["expired", 110, false],
  ["too_many_requests", 111, true],
  ["unrecoverable_position", 112, false],
];

for (const [code, number, temporary] of codes) {
  Deno.test(`the error ${code} has the number ${number}${temporary ? " and makes the SDK retry" : ""}`, () => {
    assert.deepEqual(errorReply(new PlugboardError(code, "why")), {
      code: number,
      message: "why",
      temporary,
    });
  });
}

Deno.test("errors of the application keep their numbers, and others are hidden", () => {
  assert.deepEqual(errorReply(new RpcError(1234, "sold out")), {
    code: 1234,
    message: "sold out",
    temporary: false,
  });
  assert.equal(errorReply(new Error("the password is 1234")), undefined);
  assert.equal(errorReply(new PlugboardError("disk_full", "/dev/sda is full")), undefined);
  assert.deepEqual(parse(jsonCodec.error(3, { code: 111, message: `"slow down"`, temporary: true })), {
    id: 3,
    error: { code: 111, message: `"slow down"`, temporary: true },
  });
});

Deno.test("payloads are decoded as they were sent, and the last of equal fields counts", () => {
  const payloadIn = (frame: string) => {
    const [command] = jsonCodec.decode(frame);
    return command?.name === "publish" ? command.data?.text : assert.fail();
  };
  for (const data of ["12345678901234567890", "1e400", "1.0", `{"a" : [1,\t"}"]}`, `"\\u00e4\\""`, "null"]) {
    assert.equal(payloadIn(`{"id":1,"publish":{"channel":"a","data":${data}}}`), data);
    assert.equal(payloadIn(`{"publish": {"data" :${data} ,"channel":"a"} , "id":1}`), data);
    assert.equal(payloadIn(`{"publish":{"data":0,"d\\u0061ta":${data},"channel":"a"},"id":1}`), data);
    assert.equal(payloadIn(`{"publish":1,"id":1,"publish":{"channel":"a","data":${data}}}`), data);
  }
  assert.equal(payloadIn(`{"id":1,"publish":{"channel":"a","data":[1,\r2]}}`), "[1,2]");
  assert.equal(payloadIn(`{"id":1,"publish":{"channel":"a"}}`), undefined);
});
