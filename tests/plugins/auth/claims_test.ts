import assert from "node:assert/strict";
import type { JWTPayload } from "jose";
import { connectionClaims, subscriptionClaims } from "../../../plugins/auth/claims.ts";
import { codeOf } from "./kit.ts";

const base64 = (value: unknown) => btoa(JSON.stringify(value));
const SUBSCRIPTION = { channel: "$room:1", user: "alice", client: "c1" };

Deno.test("connection tokens have the claims of Centrifuge's tokens", () => {
  const claims: JWTPayload = {
    sub: "alice",
    exp: 2_000,
    iat: 1_000,
    jti: "t1",
    info: { name: "Alice" },
    meta: { plan: "pro" },
    permissions: ["read:chat"],
    channels: ["news", "#alice"],
  };
  const { channels, ...rest } = connectionClaims(claims);
  assert.deepEqual(rest, {
    user: "alice",
    permissions: ["read:chat"],
    expiresAt: 2_000_000,
    info: `{"name":"Alice"}`,
    meta: { plan: "pro" },
    id: "t1",
    issuedAt: 1_000_000,
  });
  assert.deepEqual([...channels], [
    ["news", { serverSide: true, grant: {} }],
    ["#alice", { serverSide: true, grant: {} }],
  ]);
});

Deno.test("subs take precedence over channels, and have their own data and options", () => {
  const subs = {
    news: {},
    game: {
      info: { color: "red" },
      data: [1],
      override: {
        force_recovery: { value: true },
        force_positioning: { value: false },
        presence: { value: true },
      },
    },
    raw: {
      b64info: base64({ a: 1 }),
      b64data: base64("x"),
      override: { force_push_join_leave: { value: true } },
    },
  };
  const { channels } = connectionClaims({ sub: "alice", subs, channels: ["other"] });
  assert.deepEqual([...channels], [
    ["news", { serverSide: true, grant: {} }],
    ["game", { serverSide: true, grant: { chanInfo: `{"color":"red"}`, data: "[1]", recoverable: true } }],
    ["raw", { serverSide: true, grant: { chanInfo: `{"a":1}`, data: `"x"`, joinLeave: true } }],
  ]);
});

Deno.test("a sign-in may expire later than its token, or never", () => {
  assert.equal(connectionClaims({ exp: 10, expire_at: 20 }).expiresAt, 20_000);
  assert.equal(connectionClaims({ exp: 10, expire_at: 0 }).expiresAt, undefined);
  assert.equal(connectionClaims({ exp: 10 }).expiresAt, 10_000);
  assert.equal(connectionClaims({}).expiresAt, undefined);
});

Deno.test("S07 tokens of other issuers have the user in id and permissions in one text", () => {
  assert.equal(connectionClaims({ id: "user-123" }).user, "user-123");
  assert.equal(connectionClaims({ id: 123 }).user, "123");
  assert.equal(connectionClaims({ sub: "alice", id: "bob" }).user, "alice");
  assert.deepEqual(connectionClaims({ permissions: "read:a  write:b" }).permissions, ["read:a", "write:b"]);
});

Deno.test("claims of the wrong shape make a token invalid", async () => {
  const wrong: JWTPayload[] = [
    { id: { $ne: null } },
    { id: 1.5 },
    { sub: "a", permissions: { read: true } },
    { sub: "a", permissions: ["read:a", 1] },
    { sub: "a", channels: "news" },
    { sub: "a", channels: [1] },
    { sub: "a", subs: ["news"] },
    { sub: "a", subs: { news: true } },
    { sub: "a", subs: { news: { override: [] } } },
    { sub: "a", expire_at: "never" },
    { sub: "a", expire_at: -1 },
    { sub: "a", b64info: "%%%" },
    { sub: "a", b64info: btoa("not json") },
    { sub: "a", b64info: btoa("\xff\xfe") },
    { sub: "a", jti: 1 as unknown as string },
    { sub: "a", channel: "news" },
    { sub: "a", channel: "" },
  ];
  for (const claims of wrong) {
    assert.equal(await codeOf(() => connectionClaims(claims)), "invalid_token", JSON.stringify(claims));
  }
});

Deno.test("a subscription token is for one channel, one user and perhaps one client", async () => {
  const good = { sub: "alice", channel: "$room:1" };
  assert.deepEqual(
    subscriptionClaims({ ...good, exp: 5, info: { role: "host" }, data: { hi: 1 } }, SUBSCRIPTION),
    {
      user: "alice",
      request: { grant: { chanInfo: `{"role":"host"}`, data: `{"hi":1}`, expiresAt: 5_000 } },
    },
  );
  assert.deepEqual(subscriptionClaims({ ...good, client: "c1" }, SUBSCRIPTION).request, { grant: {} });
  assert.deepEqual(
    subscriptionClaims({ channel: "$room:1" }, { ...SUBSCRIPTION, user: "" }).request,
    { grant: {} },
    "an anonymous client",
  );
  const mismatches = [
    { ...good, channel: "$room:2" },
    { ...good, channel: "room:1" },
    { ...good, channel: "$room:1 " },
    { ...good, sub: "bob" },
    { channel: "$room:1" },
    { ...good, client: "c2" },
  ];
  for (const claims of mismatches) {
    assert.equal(
      await codeOf(() => subscriptionClaims(claims, SUBSCRIPTION)),
      "token_mismatch",
      JSON.stringify(claims),
    );
  }
  for (
    const claims of [{ sub: "alice" }, { ...good, channel: 1 }, { ...good, channel: ["$room:1"] }, {
      ...good,
      client: 1,
    }]
  ) {
    assert.equal(
      await codeOf(() => subscriptionClaims(claims, SUBSCRIPTION)),
      "invalid_token",
      JSON.stringify(claims),
    );
  }
});
