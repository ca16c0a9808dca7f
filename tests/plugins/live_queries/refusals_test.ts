/** Queries whose results could become stale unnoticed are refused, refreshed by time, or woken. */

import assert from "node:assert/strict";
import { follow, serveQueries } from "./kit.ts";

const SCHEMA = `
  CREATE TABLE times (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT, seconds INTEGER);
  CREATE VIEW today AS SELECT date('now') AS day, id FROM times;
  CREATE VIEW ages AS SELECT datetime(text) AS at FROM times;
  CREATE VIRTUAL TABLE docs USING fts5(body);
  CREATE VIRTUAL TABLE terms USING fts5vocab(docs, row);
  CREATE VIRTUAL TABLE pages USING dbstat;
  CREATE TEMP TABLE scratch (id INTEGER PRIMARY KEY);
`;

Deno.test("a query that can change without a write is refused, unless it has a refresh interval", async () => {
  await using server = await serveQueries();
  await server.store.exec(SCHEMA);
  const refused: [sql: string, params?: Record<string, "string">][] = [
    ["SELECT day FROM today"],
    ["SELECT at FROM ages"],
    ["SELECT at, date('2024-01-01') FROM ages"],
    ["SELECT datetime(:t)", { t: "string" }],
    ["SELECT datetime(text) FROM times"],
    ["SELECT datetime('n' || 'ow')"],
    ["SELECT datetime('subsec')"],
    ["SELECT unixepoch('subsecond')"],
    [`SELECT "datetime"('now')`],
    ["SELECT [Date]('NOW')"],
    ["SELECT `time`()"],
    ["SELECT strftime('%s')"],
    ["SELECT strftime('%s', text) FROM times"],
    ["SELECT timediff('2024-01-01', text) FROM times"],
    ["SELECT date(seconds, 'auto') FROM times"],
    ["SELECT date(seconds, 'unixepoch'), date(text) FROM times"],
    ["SELECT date(seconds, :unit) FROM times", { unit: "string" }],
    ["SELECT seq FROM sqlite_sequence"],
    ["SELECT count(*) FROM sqlite_sequence"],
    ["SELECT id FROM scratch"],
    ["SELECT count(*) FROM scratch"],
    ["SELECT count(*) FROM temp.scratch"],
    ["SELECT term FROM terms"],
    ["SELECT count(*) FROM terms"],
    ["SELECT c0 FROM docs_content"],
    ["SELECT count(*) FROM docs_data"],
    ["SELECT name FROM dbstat"],
    ["SELECT name FROM pages"],
    ["SELECT page_count FROM pragma_page_count"],
    ["PRAGMA page_count"],
    ["PRAGMA freelist_count"],
    ["SELECT name FROM pragma_database_list"],
  ];
  for (const [i, [sql, params = {}]] of refused.entries()) {
    const define = () => server.queries.define(`refused${i}`, { sql, params });
    assert.throws(define, { code: "bad_request", message: /can change without a write that is seen/ }, sql);
    server.queries.define(`refreshed${i}`, { sql, params, refreshMs: 1_000 });
  }
  const allowed = [
    "SELECT date(seconds, 'unixepoch') FROM times",
    "SELECT DATETIME ( seconds + (1), 'unixepoch', '+1 day' ) FROM times",
    "SELECT strftime('%Y', '2024-02-03', '+1 day'), date(2460000.5) FROM times",
    "SELECT strftime('%Y', seconds, 'unixepoch') FROM times",
    "SELECT body FROM docs WHERE docs MATCH 'x'",
    "SELECT name FROM pragma_table_list",
    "PRAGMA table_info(times)",
    "SELECT name FROM sqlite_schema",
    "SELECT value FROM json_each('[1]')",
    "WITH c AS (SELECT 1) SELECT count(*) FROM c",
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 3) SELECT 1 FROM c, times",
  ];
  for (const [i, sql] of allowed.entries()) server.queries.define(`allowed${i}`, { sql });
});

Deno.test("values and names that SQLite compares in its own way wake their queries", async () => {
  await using server = await serveQueries();
  await server.store.exec(`
    CREATE TABLE "É" (id INTEGER PRIMARY KEY, n INTEGER);
    CREATE TABLE "é" (id INTEGER PRIMARY KEY, n INTEGER);
    CREATE TABLE odd (id INTEGER PRIMARY KEY, a, r REAL, a\u00a0b INTEGER);
  `);
  const cases: [sql: string, write: string][] = [
    ['SELECT id FROM "É"', 'INSERT INTO "É" (n) VALUES (1)'],
    ["SELECT id FROM é", 'INSERT INTO "é" (n) VALUES (1)'],
    ["SELECT id FROM É WHERE n = 2", "INSERT INTO É (n) VALUES (2)"],
    ["SELECT id FROM odd WHERE a = 0xFFFFFFFFFFFFFFFF", "INSERT INTO odd (a) VALUES (-1)"],
    ["SELECT id FROM odd WHERE r = 9e999", "INSERT INTO odd (r) VALUES ('Inf'), (9e999)"],
    ["SELECT id FROM odd WHERE a\u00a0b = 1", "INSERT INTO odd (a\u00a0b) VALUES (1)"],
  ];
  for (const [i, [sql, write]] of cases.entries()) {
    server.queries.define(`q${i}`, { sql });
    await using client = await server.connect("/t");
    const live = await follow(client, `live:q${i}`);
    await server.store.exec(write);
    await server.queries.settled();
    const rows = () => server.store.all(sql).map((row) => ({ ...row }));
    assert.ok(rows().length > 0, sql);
    await live.next();
    assert.deepEqual(live.rows(), rows(), sql);
  }
});
