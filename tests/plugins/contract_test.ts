/** Arguments, parameters and rows are checked by any Standard Schema, and give clients their types. */

import assert from "node:assert/strict";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { type Check, method, rpc } from "../../plugins/rpc.ts";
import { query } from "../../plugins/live_queries.ts";
import { mutation } from "../../plugins/mutations.ts";
import { reasonOf, type StandardSchema } from "../../plugins/shared/contract.ts";
import { anonymousIdentity } from "../../plugins/shared/identity.ts";
import { centrifugeServer, sdkClient } from "../kit/centrifuge.ts";
import { follow, serveQueries } from "./live_queries/kit.ts";

const caller = { identity: anonymousIdentity };
const bad = (message: RegExp) => ({ code: "bad_request", message });

/** The same arguments in three libraries. */
const SCHEMAS = {
  zod: z.object({ items: z.array(z.object({ name: z.string(), count: z.number().min(1) })) }),
  valibot: v.object({
    items: v.array(v.object({ name: v.string(), count: v.pipe(v.number(), v.minValue(1)) })),
  }),
  arktype: type({ items: type({ name: "string", count: "number >= 1" }).array() }),
};

for (const [library, args] of Object.entries(SCHEMAS)) {
  Deno.test(`B23 arguments are checked by ${library}, and refused with the place and the reason`, async () => {
    await using server = await centrifugeServer();
    server.methods.define("count", {
      args: args as StandardSchema<unknown, { items: { count: number }[] }>,
      run: ({ items }) => items.reduce((sum, { count }) => sum + count, 0),
    });
    await using client = sdkClient(server.url);
    client.sdk.connect();
    assert.deepEqual(await client.sdk.rpc("count", { items: [{ name: "a", count: 2 }] }), { data: 2 });
    for (
      const [wrong, message] of [
        [{ items: [{ name: "a", count: 1 }, { name: "b", count: 0 }] }, /^items\[1\]\.count\b/],
        [{ items: [{ name: 7, count: 1 }] }, /^items\[0\]\.name\b.*(string|String)/],
        [{}, /^items\b/],
        [null, /\w/],
      ] as const
    ) {
      await assert.rejects(client.sdk.rpc("count", wrong), { code: 107, temporary: false, message });
    }
    assert.deepEqual(server.test.log.take(), []);
  });
}

Deno.test("B23 a check may be asynchronous, and change the value; what throws is a failure of the server", async () => {
  const methods = rpc().api;
  const known = async (name: string) => await Promise.resolve(name === "ada");
  methods.define("greet", {
    args: z.object({ name: z.string().trim().refine(known, "is unknown"), times: z.number().default(1) }),
    run: ({ name, times }) => `Hello ${name}!`.repeat(times),
  });
  methods.define("function", {
    args: async (value) => await Promise.reject(new Error(`not ${JSON.stringify(value)}`)),
    run: () => "never",
  });
  methods.define("broken", {
    args: z.unknown().refine((): boolean => {
      throw new TypeError("a secret");
    }),
    run: () => "never",
  });
  assert.equal(await methods.call("greet", { name: " ada " }, caller), "Hello ada!");
  await assert.rejects(methods.call("greet", { name: "bob" }, caller), bad(/^name: is unknown$/));
  await assert.rejects(methods.call("function", 5, caller), bad(/^not 5$/));
  await assert.rejects(methods.call("broken", 5, caller), { code: "internal" });
});

Deno.test("a schema gets no more values than it can examine in a moment", async () => {
  const methods = rpc().api;
  methods.define("count", {
    args: z.array(z.union([z.number(), z.array(z.number())])),
    run: (list) => list.length,
  });
  const call = (value: unknown) => methods.call("count", value, caller);
  assert.equal(await call(Array(2_999).fill(0)), 2_999);
  for (const large of [Array(32_000).fill("0"), Array(31).fill(Array(100).fill(0))]) {
    await assert.rejects(call(large), bad(/^More than 3000 values/));
  }
  methods.define("function", { args: (value) => value as number[], run: (list) => list.length });
  assert.equal(await methods.call("function", Array(32_000).fill(0), caller), 32_000);
});

Deno.test("B23 a mutation takes a schema, with an idempotency key too", async () => {
  await using server = await serveQueries();
  server.mutations.define("add", {
    args: z.object({ customer: z.string().min(1), total: z.coerce.number() }),
    allow: (_, { total }) => total < 100,
    run: (tx, { customer, total }) =>
      tx.run("INSERT INTO orders (customer, total) VALUES (?, ?)", [customer, total]).lastId,
  });
  const call = (args: unknown) => server.methods.call("add", args, caller);
  assert.equal(await call({ customer: "ada", total: "5" }), 1);
  const keyed = { idempotencyKey: "k", args: { customer: "bob", total: 6 } };
  assert.deepEqual([await call(keyed), await call(keyed)], [2, 2]);
  await assert.rejects(call({ customer: "", total: 1 }), bad(/^customer: /));
  await assert.rejects(call({ idempotencyKey: "l", args: { customer: "c", total: {} } }), bad(/^total: /));
  await assert.rejects(call({ customer: "c", total: 100 }), { code: "permission_denied" });
});

const ORDERS = "SELECT id, customer, total FROM orders";

Deno.test("B23 the parameters of a live query are checked by a schema, which gets numbers and booleans", async () => {
  const seen: unknown[] = [];
  await using server = await serveQueries({}, {}, {});
  server.queries.define("some", {
    sql: `${ORDERS} WHERE status = :status AND total >= :min AND (customer = :customer OR :all) ORDER BY id`,
    params: z.object({
      status: z.enum(["pending", "shipped"]),
      min: z.number().default(0),
      customer: z.string().nullish(),
      all: z.boolean(),
    }),
    allow: (_, params) => seen.push(params) > 0,
  });
  await server.store.exec(`INSERT INTO orders (customer, status, total) VALUES
    ('5', 'pending', 5), ('true', 'pending', 7), ('ada', 'shipped', 9)`);
  await using client = await server.connect("/t");
  const rows = async (params: string) => {
    client.sendJson({ do: "subscribe", channel: `live:some?${params}` });
    const { error, data } = await client.nextJson();
    return error ?? JSON.parse(data).rows.map(({ customer }: { customer: string }) => customer);
  };
  assert.deepEqual(await rows("status=pending&all=true"), ["5", "true"]);
  assert.deepEqual(await rows("status=pending&all=false&customer=5"), ["5"]);
  assert.deepEqual(await rows("status=pending&all=false&customer=true"), ["true"]);
  assert.deepEqual(await rows("status=pending&all=true&min=6"), ["true"]);
  assert.deepEqual(seen.at(-1), { status: "pending", min: 6, all: true });
  assert.deepEqual(seen[1], { status: "pending", min: 0, all: false, customer: "5" });
  for (
    const params of [
      "status=lost&all=true",
      "status=pending&all=true&min=x",
      "status=pending&all=true&all=false",
    ]
  ) {
    assert.equal(await rows(params), "bad_request", params);
  }
  const read = (params: Record<string, string | number>) => () =>
    server.queries.read("some", params, anonymousIdentity);
  assert.throws(read({ status: "lost", all: "true" }), bad(/^status: /));
  assert.throws(read({ status: "pending", all: "true", min: "x" }), bad(/^min: /));
});

Deno.test("B23 parameters that look alike and differ in type do not share their rows", async () => {
  await using server = await serveQueries();
  server.queries.define("typed", {
    sql: "SELECT typeof(:x) AS type, quote(:x) AS x",
    params: z.object({ x: z.union([z.number(), z.string()]).optional(), text: z.boolean().optional() })
      .transform(({ x, text }) => ({ x: text ? String(x) : x })),
  });
  await using client = await server.connect("/t");
  const typeOf = async (params: string) => (await follow(client, `live:typed${params}`)).rows()[0]?.["x"];
  assert.equal(await typeOf("?x=5"), "5.0");
  assert.equal(await typeOf("?x=5&text=true"), "'5'");
  assert.equal(await typeOf(""), "NULL");
  assert.equal(await typeOf("?x=null"), "'null'");
});

Deno.test("B23 rows that are not as declared refuse the subscription with the place and the reason", async () => {
  await using server = await serveQueries();
  const sql = `${ORDERS} ORDER BY id`;
  const rows = z.object({ id: z.number(), customer: z.string(), total: z.number() });
  server.queries.define("orders", { sql, rows });
  server.queries.define("later", { sql, rows: async (row) => await rows.parseAsync(row) });
  await using client = await server.connect("/t");
  assert.deepEqual((await follow(client, "live:orders")).rows(), []);
  await server.store.exec("INSERT INTO orders (customer, total) VALUES ('ada', 5), (NULL, 6)");
  await using other = await server.connect("/t");
  assert.equal((await follow(other, "live:orders")).rows().length, 2, "checked once");
  for (const attempt of ["first", "second"]) {
    await assert.rejects(follow(other, "live:later"), /bad_request/, attempt);
  }
});

Deno.test("B23 a promise of a parameters' schema is awaited for clients", async () => {
  await using server = await serveQueries();
  const known = async (status: string) => await Promise.resolve(status === "pending");
  server.queries.define("slow", {
    sql: `${ORDERS} WHERE status = :status`,
    params: z.object({ status: z.string().refine(known, "is unknown") }),
  });
  await using client = await server.connect("/t");
  assert.deepEqual((await follow(client, "live:slow?status=pending")).rows(), []);
  await assert.rejects(follow(client, "live:slow?status=lost"), /bad_request/);
  assert.throws(() => server.queries.read("slow", { status: "pending" }), { code: "not_available" });
});

Deno.test("B23 definitions are added and removed together", async () => {
  await using server = await serveQueries();
  const remove = server.methods.defineAll({ one: method({ run: () => 1 }), two: method({ run: () => 2 }) });
  assert.deepEqual([...server.methods.methods], ["one", "two"]);
  assert.throws(() => server.methods.defineAll({ three: { run: () => 3 }, two: { run: () => 4 } }));
  assert.deepEqual([...server.methods.methods], ["one", "two"], "all or none");
  remove();
  server.mutations.defineAll({ one: mutation({ run: (tx) => tx.run("DELETE FROM other").changes }) });
  server.queries.defineAll({ all: query({ sql: ORDERS }) });
  assert.equal(await server.methods.call("one", {}, caller), 0);
  assert.ok(server.queries.read("all", {}));
});

Deno.test("a refusal has a limited length", () => {
  const issues = Array.from({ length: 1000 }, (_, i) => ({ message: "m".repeat(1000), path: ["list", i] }));
  assert.equal(reasonOf(issues).length, 500 + " (and 997 more)".length);
  assert.equal(reasonOf([{ message: "no", path: [{ key: "a" }, Symbol("b")] }]), "a.Symbol(b): no");
  assert.equal(reasonOf([]), "Not valid");
});

/** Compiles only if both types are the same. */
function same<A, B>(
  ..._: (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? [] : [never]
) {}

Deno.test("B23 checks give the types of arguments and results", () => {
  type Types<D> = D extends { readonly "~types"?: infer T } ? NonNullable<T> : never;
  interface Args {
    items: { name: string; count: number }[];
  }
  const ofZod = method({ args: SCHEMAS.zod, run: ({ items }) => same<typeof items, Args["items"]>() });
  const ofValibot = method({
    args: SCHEMAS.valibot,
    run: ({ items }) => same<typeof items, Args["items"]>(),
  });
  const ofArktype = method({
    args: SCHEMAS.arktype,
    run: ({ items }) => same<typeof items, Args["items"]>(),
  });
  same<Types<typeof ofZod>["input"], Args>();
  same<Types<typeof ofValibot>["input"], Args>();
  same<Types<typeof ofArktype>["input"], Args>();

  const changing = method({
    args: z.object({ at: z.string().transform((text) => new Date(text)), times: z.number().default(1) }),
    run: async ({ at, times }) => await Promise.resolve({ year: at.getFullYear() * times }),
  });
  same<Types<typeof changing>["input"], { at: string; times?: number | undefined }>();
  same<Types<typeof changing>["output"], { year: number }>();

  const ofFunction = method({
    args: (value) => value as { a: number },
    run: ({ a }) => same<typeof a, number>(),
  });
  same<Types<typeof ofFunction>["input"], { a: number }>();
  const without = method({ run: (args) => same<typeof args, unknown>() });
  same<Types<typeof without>["input"], unknown>();
  const writing = mutation({ args: SCHEMAS.zod, run: (tx, { items }) => tx.run("", [items.length]).changes });
  same<Types<typeof writing>["output"], number>();
  // @ts-expect-error -- a transaction cannot wait
  mutation({ run: async () => await Promise.resolve(1) });
  // @ts-expect-error -- there is no such field
  method({ args: SCHEMAS.zod, run: ({ nothing }) => nothing });

  const declared = query({
    sql: "",
    params: { id: "integer", name: "string", all: "boolean", me: "user" },
    rows: z.object({ id: z.number() }),
    allow: (identity, { id }) => identity.user === String(id),
  });
  same<Types<typeof declared>["input"], { id: number; name: string; all: boolean; me: string }>();
  same<Types<typeof declared>["output"], { id: number }>();
  const bySchema = query({
    sql: "",
    params: z.object({ min: z.number().default(0) }),
    allow: (_, { min }) => (same<typeof min, number>(), true),
  });
  same<Types<typeof bySchema>["input"], { min?: number | undefined }>();
  same<Types<typeof bySchema>["output"], unknown>();
  const check: Check<{ a: number }> = (value) => value as { a: number };
  void check;
});
