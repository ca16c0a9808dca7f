import assert from "node:assert/strict";
import type { Transaction } from "../../../plugins/persistence.ts";
import { within } from "../../kit/mod.ts";
import { INSERT, ITEMS, outcomes, transactionCounter } from "./items.ts";
import { opened, value } from "./kit.ts";

Deno.test("the writes of one turn share transactions, run in order, and return their own values", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  const transactions = transactionCounter(store);
  const names = Array.from({ length: 200 }, (_, i) => `item ${i}`);
  const ids = await Promise.all(names.map((name) => store.write((tx) => tx.run(INSERT, [name]).lastId)));
  assert.deepEqual(ids, names.map((_, i) => i + 1));
  // Ideally one. A busy machine needs more, since each has limited time.
  assert.ok(transactions.count < 50, `${transactions.count} transactions`);
});

Deno.test("a write sees earlier ones, and one that throws does not affect others", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  const results = await outcomes([
    store.write((tx) => void tx.run(INSERT, ["a"])),
    store.write((tx) => {
      tx.run(INSERT, ["b"]);
      tx.run(INSERT, ["c"]);
      throw new Error("changed my mind");
    }),
    store.write((tx) => {
      tx.run(INSERT, ["d"]);
      tx.run(INSERT, ["a"]);
    }),
    store.write((tx) => tx.all<{ name: string }>("SELECT name FROM items").map(({ name }) => name).join()),
    store.run(INSERT, ["e"]).then(() => "e"),
  ]);
  assert.deepEqual(results, [undefined, "changed my mind", "UNIQUE constraint failed: items.name", "a", "e"]);
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "a,e");
});

Deno.test("writes resolve in the order of the calls, even when a failure makes them run again", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  const [runs, resolved]: string[][] = [[], []];
  const write = (name: string, ...inserts: string[]) =>
    store.write((tx) => {
      runs!.push(name);
      for (const each of inserts) tx.run(INSERT, [each]);
    }).then(() => resolved!.push(name), () => resolved!.push(`${name} failed`));

  await Promise.all([write("a", "1"), write("b"), write("c", "2", "2"), write("d", "3")]);
  assert.deepEqual(resolved, ["a", "b", "c failed", "d"]);
  assert.deepEqual(runs, ["a", "b", "c", "a", "b", "c", "d"]);
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "1,3");

  runs!.length = 0; // with savepoints, no write runs again
  await Promise.all([write("e", "4"), write("f", "5", "5"), write("g", "6")]);
  assert.deepEqual(runs, ["e", "f", "g"]);
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "1,3,4,6");
});

Deno.test("when a write fails before it has written, no write runs again", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  let runs = 0;
  const results = await outcomes(["a", "b", "c"].map((name) =>
    store.write((tx) => {
      runs++;
      if (name === "b") throw new Error("no");
      return tx.run(INSERT, [name]).changes;
    })
  ));
  assert.deepEqual([results, runs], [[1, "no", 1], 3]);
});

Deno.test("a failed constraint has its own code", async () => {
  await using db = await opened();
  await db.store.exec(ITEMS);
  await db.store.run(INSERT, ["a"]);
  await assert.rejects(db.store.run(INSERT, ["a"]), { name: "PlugboardError", code: "constraint" });
});

Deno.test("a statement that rolls back the whole transaction fails only its own write", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  await store.run(INSERT, ["a"]);
  const results = await outcomes([
    store.write((tx) => void tx.run(INSERT, ["b"])),
    store.write((tx) => {
      tx.run(INSERT, ["lost"]);
      tx.run("INSERT OR ROLLBACK INTO items (name) VALUES ('a')");
    }),
    store.write((tx) => void tx.run(INSERT, ["c"])),
  ]);
  assert.deepEqual(results, [undefined, "UNIQUE constraint failed: items.name", undefined]);
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "a,b,c");
});

Deno.test("after such a statement, a write that ignores the error cannot continue", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  await store.run(INSERT, ["a"]);
  const swallow = (tx: Transaction) => {
    try {
      tx.run("INSERT OR ROLLBACK INTO items (name) VALUES ('a')");
    } catch { /* ignored */ }
  };
  await assert.rejects(
    store.write((tx) => {
      swallow(tx);
      tx.run(INSERT, ["outside of any transaction"]);
    }),
    { code: "transaction_lost" },
  );
  await assert.rejects(store.write(swallow), { code: "transaction_lost" });
  assert.equal(value(store, "SELECT count(*) FROM items"), 1);
});

Deno.test("a constraint that is checked at the commit fails only the write that violates it", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`
    CREATE TABLE parents (id INTEGER PRIMARY KEY);
    CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
  `);
  const results = await outcomes([
    store.write((tx) => void tx.run("INSERT INTO parents VALUES (1)")),
    store.write((tx) => void tx.run("INSERT INTO children VALUES (99)")),
    store.write((tx) => void tx.run("INSERT INTO children VALUES (1)")),
  ]);
  assert.deepEqual(results, [undefined, "FOREIGN KEY constraint failed", undefined]);
  assert.equal(value(store, "SELECT group_concat(parent) FROM children"), "1");
});

Deno.test("a savepoint undoes its own writes, and can be nested", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  await store.write((tx) => {
    tx.run(INSERT, ["a"]);
    const inner = tx.savepoint(() => {
      tx.run(INSERT, ["b"]);
      assert.throws(() =>
        tx.savepoint(() => {
          tx.run(INSERT, ["c"]);
          throw new Error("undo c");
        }), /undo c/);
      return 7;
    });
    assert.equal(inner, 7);
  });
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "a,b");
});

Deno.test("a transaction cannot be used after its function has returned", async () => {
  await using db = await opened();
  let kept: Transaction | undefined;
  await db.store.write((tx) => void (kept = tx));
  for (const use of ["all", "get", "run", "exec"] as const) {
    assert.throws(() => kept![use]("SELECT 1"), { code: "transaction_over" });
  }
  assert.throws(() => kept!.savepoint(() => {}), { code: "transaction_over" });
});

Deno.test("an async function is refused, its writes are undone, and later ones fail", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  const late = Promise.withResolvers<unknown>();
  const write = store.write(
    (async (tx: Transaction) => {
      tx.run(INSERT, ["before"]);
      await Promise.resolve();
      try {
        tx.run(INSERT, ["after"]);
      } catch (error) {
        late.resolve(error);
      }
    }) as unknown as (tx: Transaction) => void,
  );
  await assert.rejects(write, { code: "async_write" });
  assert.equal((await within("the rest", late.promise) as { code: string }).code, "transaction_over");
  assert.equal(value(store, "SELECT count(*) FROM items"), 0);
});
