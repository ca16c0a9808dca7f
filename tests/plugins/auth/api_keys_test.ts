import assert from "node:assert/strict";
import { hash as digest } from "node:crypto";
import { ApiKeys } from "../../../plugins/auth/api_keys.ts";
import { parseApiKeys } from "../../../plugins/auth.ts";
import { least } from "../../kit/mod.ts";

Deno.test("a key can be given by its hash", () => {
  const keys = new ApiKeys();
  const hash = hashOf("a-key-that-is-long");
  keys.add({ name: "shop", hash, permissions: ["admin"] }, 0);
  assert.equal(keys.find("a-key-that-is-long", 1)?.info.name, "shop");
  assert.equal(keys.find(hash, 1), undefined);
  assert.throws(() => keys.add({ name: "b", hash: "00", permissions: [] }, 0), /64 hexadecimal digits/);
});

Deno.test("S08 keys are found by their value and listed by their name", () => {
  const keys = new ApiKeys();
  keys.add({
    key: "secret-api-key-123",
    name: "Dashboard Server",
    permissions: ["read:metrics", "write:metrics"],
  }, 1);
  keys.add({ key: "another", name: "temporary", permissions: ["*"], expiresAt: 100, user: "robot" }, 2);
  assert.equal(keys.find("secret-api-key-123", 50)?.info.name, "Dashboard Server");
  assert.equal(keys.find("another", 99)?.info.user, "robot");
  assert.equal(keys.find("another", 100), undefined, "it has expired");
  for (
    const wrong of [
      "",
      "secret-api-key-12",
      "secret-api-key-1234",
      "SECRET-API-KEY-123",
      "x".repeat(1_000_000),
    ]
  ) {
    assert.equal(keys.find(wrong, 0), undefined);
  }
  assert.deepEqual(keys.list().map(({ name, addedAt }) => [name, addedAt]), [["Dashboard Server", 1], [
    "temporary",
    2,
  ]]);
  assert.ok(!JSON.stringify(keys.list()).includes("secret-api-key"), "the key itself is not stored");
  assert.equal(typeof keys.remove("temporary"), "string");
  assert.equal(keys.remove("temporary"), undefined);
  assert.equal(keys.find("another", 0), undefined);
});

Deno.test("invalid keys and taken names are refused", () => {
  const keys = new ApiKeys();
  keys.add({ key: "a", name: "a", permissions: [] }, 0);
  assert.throws(() => keys.add({ key: "b", name: "a", permissions: [] }, 0), /the name is taken/);
  assert.throws(() => keys.add({ key: "", name: "b", permissions: [] }, 0), /must have 1 to 512 characters/);
  assert.throws(() => keys.add({ key: "x".repeat(513), name: "b", permissions: [] }, 0), /characters/);
  assert.throws(() => keys.add({ key: "x", name: "", permissions: [] }, 0), /name must not be empty/);
});

Deno.test("keys are compared in constant time", async () => {
  const keys = new ApiKeys();
  const key = "k".repeat(64);
  keys.add({ key, name: "a", permissions: [] }, 0);
  const guesses = [`x${key.slice(1)}`, `${key.slice(0, -1)}x`, key];
  const difference = await least(1.43, () => {
    const times = new Map(guesses.map((guess) => [guess, [] as number[]]));
    for (let round = 0; round < 200; round++) {
      for (const guess of guesses) {
        const started = performance.now();
        for (let i = 0; i < 50; i++) keys.find(guess, 0);
        times.get(guess)!.push(performance.now() - started);
      }
    }
    const medians = guesses.map((guess) => times.get(guess)!.sort((a, b) => a - b)[100]!);
    return Math.max(...medians) / Math.min(...medians);
  });
  assert.ok(difference < 1.43, `the slowest takes ${difference} times as long as the fastest`);
});

Deno.test("keys are parsed from settings", () => {
  assert.deepEqual(parseApiKeys(" , backend:b:read:x+write:y:* ,c:c+/==:admin,"), [
    { name: "backend", key: "b", permissions: ["read:x", "write:y:*"] },
    { name: "c", key: "c+/==", permissions: ["admin"] },
  ]);
  assert.deepEqual(parseApiKeys(""), []);
});

Deno.test("a key without a name or permissions is refused, and the error shows no part of it", () => {
  const parts = ["geheim", "ops:geheim", ":geheim:admin", "ops::admin", "ops:geheim:", "geheim:admin"];
  const permissions = [
    "a:geheim:banana",
    "geheim:b:c:d",
    "geheim:b:read:x+",
    "geheim:b:read:",
    "a:geheim:read",
  ];
  const bad = [...parts, ...permissions].map((text) => `a:b:admin, ${text}`);
  for (const text of bad) {
    assert.throws(() => parseApiKeys(text), {
      code: "bad_setting",
      message:
        "API_KEYS must be name:key:permission+permission, with permissions such as read:news, write:chat:*, " +
        "admin or *, joined by +, and keys by commas; see key 2",
    }, text);
  }
});

const hashOf = (key: string) => digest("sha256", key);
