import assert from "node:assert/strict";
import type { Connection } from "../../core/mod.ts";
import { RpcError } from "../../plugins/rpc.ts";
import { anonymousIdentity, type Identity, unprovenIdentity } from "../../plugins/shared/identity.ts";
import { FakeClock, turn } from "../kit/mod.ts";
import { byStatus, follow, serveQueries } from "./live_queries/kit.ts";

Deno.test("B08 a mutation runs in a transaction, and its diffs come before the caller's reply", async () => {
  await using server = await serveQueries({ byStatus });
  server.mutations.define("addOrder", {
    args: (value) => value as { customer: string; total: number },
    allow: ({ identity }) => identity.user === "ann",
    run(tx, { customer, total }) {
      tx.run("INSERT INTO orders (customer, status, total) VALUES (?, 'pending', ?)", [customer, total]);
      if (total < 0) throw new RpcError(1001, "A total cannot be negative");
      return tx.get<{ n: number }>("SELECT count(*) AS n FROM orders")!.n;
    },
  });
  const order: string[] = [];
  await using client = await server.connect("/t");
  const live = await follow(client, "live:byStatus?status=pending");
  const [conn] = server.server.connections;
  const caller = { identity: { ...anonymousIdentity, user: "ann" }, conn: conn! };
  const send = conn!.send.bind(conn);
  conn!.send = (message) => {
    order.push("diff");
    return send(message);
  };
  const call = server.methods.call("addOrder", { customer: "ann", total: 5 }, caller).then((n) =>
    order.push(`reply ${n}`)
  );
  await call;
  assert.deepEqual(order, ["diff", "reply 1"]);
  await live.next();
  assert.deepEqual(live.rows(), [{ id: 1, customer: "ann", total: 5 }]);
  await assert.rejects(server.methods.call("addOrder", { customer: "ann", total: -1 }, caller), {
    number: 1001,
    message: "A total cannot be negative",
  });
  assert.equal(server.store.get<{ n: number }>("SELECT count(*) AS n FROM orders")!.n, 1, "rolled back");
  await assert.rejects(server.methods.call("addOrder", {}, { identity: anonymousIdentity }), {
    code: "permission_denied",
  });
});

Deno.test("B11 a mutation with an idempotency key runs once for each caller", async () => {
  await using server = await serveQueries();
  server.mutations.define("count", {
    run: (tx) => {
      tx.run("INSERT INTO other (x) VALUES ('called')");
      return tx.get<{ n: number }>("SELECT count(*) AS n FROM other")!.n;
    },
  });
  const as = (user: string) => ({ identity: { ...anonymousIdentity, user } });
  const call = (user: string, key: string) =>
    server.methods.call("count", { idempotencyKey: key, args: {} }, as(user));
  assert.deepEqual(await Promise.all([call("ann", "k"), call("ann", "k")]), [1, 1]);
  assert.equal(await call("ann", "k"), 1);
  assert.equal(await call("ann", "other"), 2);
  assert.equal(await call("bob", "k"), 3);
  await assert.rejects(call("ann", ""), { code: "bad_request" });
  const caller = { ...as("ann"), idempotencyKey: "k" };
  assert.equal(
    await server.methods.call("count", {}, caller),
    1,
    "the key of the call, and not of its arguments",
  );
  await assert.rejects(server.methods.call("count", {}, { ...caller, idempotencyKey: "" }), {
    code: "bad_request",
  });
});

Deno.test("callers without a proven user id do not share their idempotency keys", async () => {
  await using server = await serveQueries();
  let calls = 0;
  server.mutations.define("count", { run: () => ++calls });
  await using _one = await server.connect("/t");
  await using _two = await server.connect("/t");
  const [one, two] = server.server.connections;
  const call = (identity: Identity, conn: Connection) =>
    server.methods.call("count", { idempotencyKey: "k", args: {} }, { identity, conn });
  for (const identity of [anonymousIdentity, unprovenIdentity("ann")]) {
    const first = await call(identity, one!);
    assert.equal(await call(identity, two!), 2, "another connection");
    assert.equal(await call(identity, one!), first, "the same connection");
  }
  const ann = { ...anonymousIdentity, user: "ann" };
  assert.equal(await call(ann, one!), 3);
  assert.equal(await call(ann, two!), 3, "a user on two connections");
});

Deno.test("B08 a mutation waits for the expensive queries that it affects, and for no others", async () => {
  const clock = new FakeClock();
  const expensive = `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000)
    SELECT max(n) + (SELECT count(*) FROM other) AS n FROM c`;
  await using server = await serveQueries({ byStatus, expensive: { sql: expensive } }, {}, { clock });
  const define = (name: string, sql: string) =>
    server.mutations.define(name, { run: (tx) => void tx.run(sql) });
  define("addOrder", "INSERT INTO orders (status) VALUES ('pending')");
  define("addOther", "INSERT INTO other (x) VALUES ('y')");
  await using client = await server.connect("/t");
  await follow(client, "live:expensive");
  await follow(client, "live:byStatus?status=pending");
  const [conn] = server.server.connections;
  const call = (name: string, args = {}) =>
    server.methods.call(name, args, { identity: anonymousIdentity, conn: conn! });

  await server.store.run("INSERT INTO other (x) VALUES ('y')"); // the expensive query rests before it runs again
  await call("addOrder");
  assert.equal((await client.nextJson()).pub, "live:byStatus?status=pending");

  const replies: string[] = [];
  const calls = ["first", "repeated"].map(async (what) => {
    await call("addOther", { idempotencyKey: "k", args: {} });
    replies.push(what);
  });
  const settled = server.queries.settled(conn).then(() => replies.push("settled"));
  await server.store.write(() => {}); // after those of the calls
  await turn();
  assert.deepEqual(replies, []);
  clock.advance(10_000);
  await Promise.all([...calls, settled]);
  assert.equal((await client.nextJson()).pub, "live:expensive");
});
