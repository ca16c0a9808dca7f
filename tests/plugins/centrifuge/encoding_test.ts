/** What goes over the wire, piece by piece. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { PlugboardError } from "../../../core/mod.ts";
import { Payload } from "../../../plugins/channels.ts";
import { RpcError } from "../../../plugins/rpc.ts";
import { errorReply } from "../../../plugins/protocols/centrifuge/codes.ts";
import {
  encoder,
  lifetime,
  presenceResult,
  refreshPush,
  refusalOf,
  subscribeResult,
} from "../../../plugins/protocols/centrifuge/encoding.ts";

const anyInfo = fc.record({
  user: fc.string(),
  client: fc.string(),
  connInfo: fc.json(),
  chanInfo: fc.json(),
}, { requiredKeys: ["user", "client"] });

const anyPublication = fc.record({
  offset: fc.nat(),
  payload: fc.json().map(Payload.fromValidJson),
  time: fc.nat(),
  info: anyInfo,
  tags: fc.dictionary(fc.string(), fc.string()),
}, { requiredKeys: ["offset", "payload", "time"] });

const parse = (text: unknown) => JSON.parse(text as string);

Deno.test("any publication is written as JSON without line breaks, zero values left out", () => {
  fc.assert(fc.property(fc.string(), anyPublication, (channel, publication) => {
    const text = encoder.publication(channel, publication) as string;
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
    // Compared as text: JSON keeps keys such as `__proto__` which a comparison of objects would pass over.
    assert.equal(JSON.stringify(parse(text)), JSON.stringify({ push: { channel, pub } }));
    assert.ok(!text.includes("\n"));
  }));
});

Deno.test("every push has the channel's name and its kind", () => {
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
  assert.deepEqual(parse(encoder.join("a", info)), { push: { channel: "a", join: { info } } });
  assert.deepEqual(parse(encoder.leave("a", info)), { push: { channel: "a", leave: { info } } });
  assert.deepEqual(parse(encoder.subscribed("a", subscribed)), {
    push: { channel: "a", subscribe: { recoverable: true, positioned: true, epoch: "e", data: [1] } },
  });
  assert.deepEqual(parse(encoder.unsubscribed("a", { code: 2500, reason: "insufficient state" })), {
    push: { channel: "a", unsubscribe: { code: 2500, reason: "insufficient state" } },
  });
});

Deno.test("a subscription without a position is answered with nothing", () => {
  const plain = {
    recoverable: false,
    positioned: false,
    wasRecovering: false,
    recovered: false,
    publications: [],
  };
  assert.equal(subscribeResult(plain, 0), "{}");
});

Deno.test("a recovery is answered with all of it", () => {
  const publications = [{ offset: 8, payload: Payload.of(1), time: 0 }, {
    offset: 9,
    payload: Payload.of(2),
    time: 0,
  }];
  const recovered = {
    recoverable: true,
    positioned: true,
    wasRecovering: true,
    recovered: true,
    publications,
    position: { offset: 7, epoch: "e" },
    expiresAt: 61_500,
  };
  assert.deepEqual(parse(subscribeResult(recovered, 1_000)), {
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

Deno.test("a lifetime is at least a second and at most what the SDK's timers can hold", () => {
  assert.equal(lifetime(undefined, 0), undefined);
  assert.equal(lifetime(500, 1_000), `"expires":true,"ttl":1`);
  assert.equal(lifetime(3_001, 1_000), `"expires":true,"ttl":3`);
  assert.equal(lifetime(1e15, 0), `"expires":true,"ttl":2147000`);
  assert.equal(refreshPush(undefined, 0), `{"push":{"refresh":{}}}`);
});

Deno.test("presence shows what tokens say about people, and what updates say where they say nothing", () => {
  const seen = { joinedAt: 1, lastSeenAt: 1 };
  const people = [
    {
      client: "c1",
      user: "u",
      data: undefined,
      info: { client: "c1", user: "u", connInfo: "1", chanInfo: "2" },
      ...seen,
    },
    { client: "bot", user: "bot", data: { busy: true }, ...seen },
  ];
  assert.deepEqual(parse(presenceResult(people)), {
    presence: {
      c1: { user: "u", client: "c1", conn_info: 1, chan_info: 2 },
      bot: { user: "bot", client: "bot", chan_info: { busy: true } },
    },
  });
  assert.equal(presenceResult([]), `{"presence":{}}`);
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
  Deno.test(`the error ${code} is told as ${number}${temporary ? ", for the SDK to try again" : ""}`, () => {
    assert.deepEqual(errorReply(new PlugboardError(code, "why")), {
      code: number,
      message: "why",
      temporary,
    });
  });
}

Deno.test("an application's errors keep their numbers, and nobody learns of any other", () => {
  assert.deepEqual(errorReply(new RpcError(1234, "sold out")), {
    code: 1234,
    message: "sold out",
    temporary: false,
  });
  assert.equal(errorReply(new Error("the password is 1234")), undefined);
  assert.equal(errorReply(new PlugboardError("disk_full", "/dev/sda is full")), undefined);
  assert.deepEqual(parse(refusalOf(3, { code: 111, message: `"slow down"`, temporary: true })), {
    id: 3,
    error: { code: 111, message: `"slow down"`, temporary: true },
  });
});
