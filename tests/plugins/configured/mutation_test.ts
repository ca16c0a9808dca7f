/** Mutations that a file declares: what callers may pass, and what is published. */

import assert from "node:assert/strict";
import { persistence } from "../../../plugins/persistence.ts";
import { Server } from "../../../core/mod.ts";
import { compileMutation, type Outcome } from "../../../plugins/servers/configured/mutation.ts";
import type { MutationSettings } from "../../../plugins/servers/configured/declarations.ts";
import type { Identity } from "../../../plugins/shared/identity.ts";

const identity = (user: string, ...permissions: string[]): Identity => ({
  user,
  can: (verb, resource) => permissions.includes(`${verb}:${resource}`),
  ...(user === "" && { anonymous: true as const }),
});

/** Starts a store with a table. */
async function started() {
  const server = new Server({ port: false });
  const store = server.use(persistence({ path: ":memory:" }));
  await server.start();
  await store.exec(
    'CREATE TABLE t (id INTEGER PRIMARY KEY, owner TEXT, n INTEGER CONSTRAINT "n is small" CHECK (n < 10))',
  );
  const published: Outcome[] = [];
  return {
    store,
    published,
    async call(given: MutationSettings, args: unknown, who = identity("ada")) {
      const method = compileMutation("m", given, {
        checkChannel: (name) => assert.doesNotMatch(name, /\.\.|\/\//, "invalid channel"),
        publish: (outcome) => Promise.resolve(published.push(outcome)),
      });
      const checked = method.args!(args);
      const reply = await store.write((tx) => method.run(tx, checked, { identity: who }) as never);
      await method.committed!(reply, checked, { identity: who });
      return reply as unknown;
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

const ADD: MutationSettings = {
  sql: "INSERT INTO t (owner, n) VALUES (:owner, :n) RETURNING id, n",
  params: { owner: "user", n: "integer" },
  publish: [{ channel: "t:{owner}" }, {
    channel: "t:all",
    data: { row: ["{id}", "{n}", "n {n}"], by: "{owner}" },
  }],
};

Deno.test("a mutation writes, replies with a row, and publishes its values", async () => {
  await using app = await started();
  assert.deepEqual(await app.call(ADD, { n: 5 }), { id: 1, n: 5 });
  assert.deepEqual(app.published, [
    { channel: "t:ada", data: { owner: "ada", n: 5 } },
    { channel: "t:all", data: { row: [1, 5, "n {n}"], by: "ada" } },
  ]);
});

Deno.test("wrong arguments are refused, and a user is never one of them", async () => {
  await using app = await started();
  const wrong: unknown[] = [null, 5, [], { n: "5" }, { n: 1.5 }, { n: NaN }, { n: 1, owner: "bob" }, {
    n: 1,
    x: 1,
  }];
  wrong.push({ n: 1, __proto__: { n: 2 }, constructor: 1 }, { n: 2 ** 60 }, { n: true }, {
    n: { toString: 1 },
  });
  for (const args of wrong) await assert.rejects(app.call(ADD, args), { name: "PlugboardError" });
  await assert.rejects(app.call(ADD, { n: 1 }, identity("")), { code: "permission_denied" });
  assert.deepEqual(app.store.all("SELECT * FROM t"), []);
});

Deno.test("a broken rule of a table reaches the caller by its name, and undoes all", async () => {
  await using app = await started();
  const two = { ...ADD, sql: ["INSERT INTO t (owner, n) VALUES (:owner, 1)", ADD.sql as string] };
  await assert.rejects(app.call(two, { n: 11 }), { message: "n is small", number: 409 });
  assert.deepEqual(app.store.all("SELECT * FROM t"), []);
});

Deno.test("a call that changes nothing can be refused", async () => {
  await using app = await started();
  const remove = {
    sql: "DELETE FROM t WHERE id = :id",
    params: { id: "integer" as const },
    mustChange: true,
  };
  await assert.rejects(app.call(remove, { id: 1 }), { message: "Nothing was changed" });
  await app.call(ADD, { n: 1 });
  assert.equal(await app.call(remove, { id: 1 }), null);
});

Deno.test("a value cannot lead to another channel, and a name that is not valid undoes the call", async () => {
  await using app = await started();
  const say: MutationSettings = {
    sql: "INSERT INTO t (owner) VALUES (:room)",
    params: { room: "string" },
    publish: { channel: "room:{room}:messages" },
  };
  for (const room of ["a:b", "a#1", "", "x?y", "..", "$x", "*"]) {
    await assert.rejects(app.call(say, { room }), room);
  }
  assert.deepEqual([app.store.all("SELECT * FROM t"), app.published], [[], []]);
  await app.call(say, { room: "a" });
  assert.equal(app.published[0]?.channel, "room:a:messages");
});

Deno.test("the channel of a reply is checked as it is published, and an empty value has none", async () => {
  await using app = await started();
  const insert = (id: string): MutationSettings => ({
    sql: ["INSERT INTO t (owner) VALUES ('x')", `SELECT ${id} AS id`],
    publish: { channel: "t:{id}", data: ["{id}"] },
  });
  await assert.rejects(app.call(insert("x'fffefd'"), {}), /invalid channel/); // it is //79 in base64
  await assert.rejects(app.call(insert("NULL"), {}), { message: `"id" cannot be in a channel's name` });
  assert.deepEqual([app.store.all("SELECT * FROM t"), app.published], [[], []]);
  await app.call(insert("9007199254740993"), {});
  assert.deepEqual(app.published, [{ channel: "t:9007199254740993", data: ["9007199254740993"] }]);
});

Deno.test("who may call is a permission by default", () => {
  const allowed = (call: string | undefined, who: Identity) => {
    const parts = { checkChannel() {}, publish: () => Promise.resolve() };
    const method = compileMutation("m", { sql: "SELECT 1", ...(call !== undefined && { call }) }, parts);
    return method.allow!({ identity: who }, {});
  };
  assert.equal(allowed(undefined, identity("ada")), false);
  assert.equal(allowed(undefined, identity("ada", "write:rpc:m")), true);
  assert.equal(allowed("signed_in", identity("")), false);
  assert.equal(allowed("signed_in", identity("ada")), true);
  assert.equal(allowed("anyone", identity("")), true);
  assert.equal(allowed("nobody", identity("ada", "write:rpc:m")), false);
  assert.equal(allowed("write:a:b", identity("ada", "write:a:b")), true);
});

Deno.test("the parameters are those of the SQL", () => {
  const compile = (given: MutationSettings) =>
    compileMutation("m", given, { checkChannel() {}, publish: () => Promise.resolve() });
  assert.throws(() => compile({ sql: "SELECT :a" }), {
    message: "the SQL has the parameter a, which is not in params",
  });
  assert.throws(() => compile({ sql: "SELECT ?" }), {
    message: "the SQL has the parameter ?, which is not in params",
  });
  assert.throws(() => compile({ sql: "SELECT 1", params: { a: "string" } }), {
    message: "the parameter a is not used",
  });
});
