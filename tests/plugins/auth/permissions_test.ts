import assert from "node:assert/strict";
import fc from "fast-check";
import { cachedPermissions, permissionsOf } from "../../../plugins/auth/permissions.ts";
import type { Verb } from "../../../plugins/shared/identity.ts";

const can = (permission: string | string[], verb: Verb, resource: string) =>
  permissionsOf([permission].flat()).can(verb, resource);

Deno.test("S09 a permission allows its verb on its resource, and nothing else", () => {
  const table: [permission: string, verb: Verb, resource: string, allowed: boolean][] = [
    ["read:chat", "read", "chat", true],
    ["read:chat", "write", "chat", false],
    ["read:chat", "read", "chat:lobby", false],
    ["read:chat", "read", "chats", false],
    ["read:chat:*", "read", "chat:lobby", true],
    ["read:chat:*", "read", "chat:a:b", true],
    ["read:chat:*", "read", "chat", false],
    ["read:chat:*", "read", "chatter:a", false],
    ["read:*", "read", "anything:at:all", true],
    ["read:*", "write", "anything", false],
    ["write:*:logs", "write", "a:logs", true],
    ["write:*:logs", "write", "a:b:logs", false],
    ["write:*:logs", "write", "logs", false],
    ["write:*:b:*", "write", "a:b:c:d", true],
    ["write:*:b:*", "write", "a:b", false],
    ["*", "read", "chat", true],
    ["*", "write", "chat", true],
    ["*", "admin", "api", false],
    ["write:*", "admin", "api", false],
    ["admin", "admin", "api", true],
    ["admin", "write", "chat", true],
    ["admin:stats", "admin", "stats", true],
    ["admin:stats", "admin", "api", false],
    ["admin:stats", "read", "stats", false],
    ["query:*", "query", "*", true],
    ["query:orders", "query", "*", false],
    ["query:*", "write", "orders", false],
    ["query:*", "read", "orders", false],
    ["read:*", "query", "*", false],
    ["*", "query", "*", false],
    ["admin", "query", "*", true],
    ["*", "read", "$team:a", false],
    ["read:*", "read", "$team:a", false],
    ["read:*:a", "read", "$team:a", false],
    ["read:*:a:*", "read", "$team:a:b", false],
    ["read:team:*", "read", "$team:a", false],
    ["read:$team:*", "read", "$team:a", true],
    ["read:$team:a", "read", "$team:a", true],
    ["read:$team:*:b", "read", "$team:a:b", true],
    ["read:$team:a", "write", "$team:a", false],
    ["admin", "read", "$team:a", true],
    ["admin:*", "read", "$team:a", false],
  ];
  for (const [permission, verb, resource, allowed] of table) {
    assert.equal(can(permission, verb, resource), allowed, `${permission} ${verb} ${resource}`);
  }
});

Deno.test("wildcards within parts, other cases and look-alikes allow nothing", () => {
  const tricks: [permission: string, resource: string][] = [
    ["read:a*", "a:b"],
    ["read:a*", "abc"],
    ["read:a*:b", "aa:b"],
    ["read:**", "a"],
    ["read:*a", "ba"],
    ["read", "read"],
    ["read:", "chat"],
    [":chat", "chat"],
    ["READ:chat", "chat"],
    ["read:Chat", "chat"],
    ["read:ch\u0430t", "chat"], // a Cyrillic а
    ["read:caf\u00e9", "cafe\u0301"], // the same letters, composed and not
    ["read:chat ", "chat"],
    ["*:chat", "chat"],
    ["**", "chat"],
    ["*:*", "chat"],
    ["", "chat"],
    ["", ""],
    ["everything", "chat"],
    ["superadmin", "chat"],
    ["constructor:x", "x"],
    ["__proto__", "chat"],
  ];
  for (const [permission, resource] of tricks) {
    for (const verb of ["read", "write", "admin"] as const) {
      assert.equal(can(permission, verb, resource), false, `${permission} ${verb} ${resource}`);
    }
  }
  assert.equal(can("read:a*", "read", "a*"), true, "a star within a part is just a character");
});

/** Few parts, so that patterns and resources meet often. */
const part = fc.constantFrom("a", "b", "*", "a*", "");
const parts = fc.array(part, { minLength: 1, maxLength: 4 });
const verb = fc.constantFrom<Verb>("read", "write", "admin");

/** A slow reference implementation of the documented rule. */
function expected(pattern: string[], resource: string[]): boolean {
  const [head, ...rest] = pattern;
  if (head === undefined) return resource.length === 0;
  if (head === "*" && rest.length === 0) return resource.length > 0;
  if (resource.length === 0) return false;
  return (head === "*" || head === resource[0]) && expected(rest, resource.slice(1));
}

Deno.test("patterns match part by part", () => {
  fc.assert(
    fc.property(verb, parts, verb, parts, (has, pattern, wants, resource) => {
      const allowed = can(`${has}:${pattern.join(":")}`, wants, resource.join(":"));
      assert.equal(allowed, has === wants && expected(pattern, resource));
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("an additional permission never denies what a list allows", () => {
  const list = fc.array(fc.tuple(verb, parts).map(([each, pattern]) => `${each}:${pattern.join(":")}`));
  fc.assert(
    fc.property(list, list, verb, parts, (some, more, wants, resource) => {
      const name = resource.join(":");
      const both = can([...some, ...more], wants, name);
      assert.equal(both, can(some, wants, name) || can(more, wants, name));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("a list is parsed once, and similar lists are not mixed up", () => {
  const prepare = cachedPermissions();
  assert.equal(prepare(["read:a"]), prepare(["read:a"]));
  assert.equal(prepare(["read:a,read:b"]).can("read", "b"), false);
  assert.equal(prepare(["read:a", "read:b"]).can("read", "b"), true);
  assert.equal(prepare(['read:a","read:b']).can("read", "b"), false);
});

Deno.test("a list that is too long is refused", () => {
  const list = (length: number) => Array.from({ length }, (_, i) => `read:${i}`);
  permissionsOf(list(1_000));
  assert.throws(() => permissionsOf(list(1_001)), { code: "invalid_token" });
});
