/** Tables that SQL of clients cannot see. */

import assert from "node:assert/strict";
import { codeOf, serveSql } from "../../sql_events/kit.ts";

Deno.test("the tables of plugins, with their secrets, are hidden from SQL of clients", async () => {
  await using server = await serveSql();
  const reads = server.store.isolated();
  await server.store.keyValues("paths").set("secret", "the secret of tickets");
  await server.store.exec(`
    CREATE TABLE orders (status);
    CREATE VIEW peek AS SELECT * FROM plugboard_entries;
    CREATE TABLE home_own (x);
    CREATE VIRTUAL TABLE paths_words USING fts5(x);
    CREATE TABLE tinybase_parts (x);
    CREATE TABLE channel_publications (x);
    CREATE TABLE channel_tail (x);
    CREATE INDEX by_status ON orders (status);
    ANALYZE;
  `);
  const tables = [
    "plugboard_entries",
    "main.PLUGBOARD_Entries",
    "[plugboard_entries] AS harmless",
    "peek",
    "(SELECT * FROM plugboard_entries)",
    "home_own",
    "paths_words",
    "paths_words_content",
    "tinybase_parts",
    "channel_publications",
    "channel_tail",
    "sqlite_stat1",
    "sqlite_stat4",
  ];
  for (const table of tables) {
    for (const sql of [`SELECT * FROM ${table}`, `SELECT count(*) FROM ${table}`, `SELECT 1 FROM ${table}`]) {
      assert.equal(await codeOf(reads.read(sql, [], { maxRows: 10, maxMs: 60_000 })), "refused_sql", sql);
    }
  }
});
