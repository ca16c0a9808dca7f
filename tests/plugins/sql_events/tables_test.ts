import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Client } from "../../kit/mod.ts";
import { tables } from "../../../plugins/sql_events/tables.ts";
import { opened } from "../persistence/kit.ts";
import { nextEvent, serveSql } from "./kit.ts";

/** Returns the next events: type, table, and the user if there is one. */
async function events(client: Client, count: number): Promise<string[]> {
  const seen = [];
  for (let i = 0; i < count; i++) {
    const [type, { tableName, userId, timestamp }] = await nextEvent(client);
    assert.equal(typeof timestamp, "number");
    seen.push(
      [type.replace("table:", ""), tableName, ...(userId === undefined ? [] : ["by", userId])].join(" "),
    );
  }
  return seen;
}

/** Asserts that there are no more events before a last one. */
async function nothingElse(client: Client, run: (sql: string) => Promise<void>): Promise<void> {
  await run("CREATE TABLE the_end (x)");
  assert.deepEqual(await events(client, 1), ["created the_end"]);
  await run("DROP TABLE the_end");
  assert.deepEqual(await events(client, 1), ["dropped the_end"]);
}

Deno.test("Q10 definitions announce created, altered and dropped tables", async () => {
  await using server = await serveSql();
  await using client = await server.join("tables");
  const { exec } = server.store;
  const cases: [script: string, expected: string[]][] = [
    ["CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)", ["created users"]],
    ["ALTER TABLE users ADD COLUMN age INTEGER", ["modified users"]],
    ["ALTER TABLE users RENAME COLUMN age TO years", ["modified users"]],
    ["ALTER TABLE users DROP COLUMN years", ["modified users"]],
    ["CREATE INDEX users_by_name ON users (name)", ["modified users"]],
    ["DROP INDEX users_by_name", ["modified users"]],
    ["CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END", ["modified users"]],
    ["ALTER TABLE users RENAME TO people", ["dropped users", "created people"]],
    ["DROP TABLE people; CREATE TABLE people (id INTEGER PRIMARY KEY)", ["modified people"]],
    ["DROP TABLE people; CREATE TABLE people (id INTEGER PRIMARY KEY)", ["modified people"]],
    ["CREATE TABLE a (x); CREATE TABLE b (x); DROP TABLE a", ["created b"]],
    ["DROP TABLE b; DROP TABLE people", ["dropped b", "dropped people"]],
    ['CREATE TABLE "od""d näme" (x)', ['created od"d näme']],
    ['DROP TABLE "od""d näme"', ['dropped od"d näme']],
    ["CREATE VIRTUAL TABLE texts USING fts5(body)", ["created texts"]],
    ["DROP TABLE texts", ["dropped texts"]],
    ["CREATE TABLE IF NOT EXISTS one (x)", ["created one"]],
    ["CREATE TABLE IF NOT EXISTS one (x)", []],
    ["CREATE TEMP TABLE scratch (x); DROP TABLE scratch", []],
    ["CREATE VIEW ones AS SELECT * FROM one; DROP VIEW ones", []],
    ["INSERT INTO one VALUES (1); DELETE FROM one", []],
    ["CREATE TABLE plugboard_own (x); DROP TABLE plugboard_own", []],
    ["CREATE TABLE paths_own (x); CREATE TABLE Home_own (x); CREATE TABLE channel_logs (x)", []],
  ];
  for (const [script, expected] of cases) {
    await exec(script);
    assert.deepEqual(await events(client, expected.length), expected, script);
    await nothingElse(client, exec);
  }
});

Deno.test("Q10 an undone definition is not announced", async () => {
  await using server = await serveSql();
  await using client = await server.join("tables");
  const { exec, write } = server.store;
  await assert.rejects(exec("CREATE TABLE x (y); INSERT INTO nowhere VALUES (1)"));
  await write((tx) => {
    try {
      tx.savepoint(() => {
        tx.exec("CREATE TABLE x (y)");
        throw new Error("undone");
      });
    } catch { /* expected */ }
  });
  await nothingElse(client, exec);
});

Deno.test("Q10 definitions by another process are announced", async () => {
  await using server = await serveSql();
  await using client = await server.join("tables");
  const other = new DatabaseSync(server.path);
  try {
    other.exec("CREATE TABLE elsewhere (x)");
    assert.deepEqual(await events(client, 1), ["created elsewhere"]);
    other.exec("ALTER TABLE elsewhere ADD COLUMN y");
    assert.deepEqual(await events(client, 1), ["modified elsewhere"]);
    other.exec("DROP TABLE elsewhere");
    assert.deepEqual(await events(client, 1), ["dropped elsewhere"]);
  } finally {
    other.close();
  }
  await nothingElse(client, server.store.exec);
});

Deno.test("Q10 events of tables that a query defines contain its user", async () => {
  await using server = await serveSql({ runIn: "worker" });
  await using client = await server.join("tables");
  const run = (sql: string, user: string) => server.events.run(sql, [], { user, write: true });
  await run("CREATE TABLE items (x)", "ann");
  assert.deepEqual(await events(client, 1), ["created items by ann"]);
  await run("ALTER TABLE items ADD COLUMN y", "bob");
  assert.deepEqual(await events(client, 1), ["modified items by bob"]);
  await assert.rejects(run("CREATE TABLE items (x)", "ann"));
  await server.store.exec("DROP TABLE items");
  assert.deepEqual(await events(client, 1), ["dropped items"]);
});

Deno.test("Q10 several users can define tables in one commit", async () => {
  await using opening = await opened();
  const { store } = opening;
  const reported: string[] = [];
  const following = tables(
    store,
    (type, { tableName, userId }) => void reported.push(`${type} ${tableName} ${userId}`),
  );
  const define = (user: string, script: string) =>
    store.write((tx) => following.defining(tx, user, () => tx.exec(script)));
  await Promise.all([
    store.exec("CREATE TABLE plain (x)"),
    define("ann", "CREATE TABLE of_ann (x)"),
    define("bob", "CREATE TABLE of_bob (x)"),
  ]);
  assert.deepEqual(reported.sort(), [
    "table:created of_ann ann",
    "table:created of_bob bob",
    "table:created plain undefined",
  ]);
  following.stop();
});

Deno.test("Q10 existing tables are not announced at the start", async () => {
  await using server = await serveSql({ memory: true });
  await using client = await server.join("tables");
  await nothingElse(client, server.store.exec);
});
