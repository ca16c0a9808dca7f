/** What SQL of clients may use, compared with what SQLite itself reports. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { authorizer } from "../../../../plugins/persistence/authorizer.ts";
import { ALLOWED, guard } from "../../../../plugins/persistence/isolated/allowed.ts";
import { attack } from "./attacked.ts";

/** Functions that are refused on purpose. Whatever a later SQLite adds must be judged before it is in either list. */
const REFUSED = [
  "fts3_tokenizer",
  "fts5",
  "fts5_get_locale",
  "fts5_insttoken",
  "fts5_locale",
  "fts5_source_id",
  "load_extension",
  "optimize",
  "rtreecheck",
  "rtreedepth",
  "rtreenode",
  "sqlite_compileoption_get",
  "sqlite_compileoption_used",
  "sqlite_log",
  "sqlite_source_id",
];

function guarded() {
  const native = new DatabaseSync(":memory:");
  native.exec(`
    CREATE TABLE plain (a, b);
    CREATE VIRTUAL TABLE docs USING fts5(text);
    INSERT INTO docs VALUES ('one two'), ('three');
    CREATE VIRTUAL TABLE "old docs" USING FTS4(text);
    CREATE VIRTUAL TABLE [old] USING "fts4"(text);
    CREATE VIRTUAL TABLE plain_using_fts5 USING dbstat;
    CREATE VIRTUAL TABLE "x using fts5" USING fts3tokenize(simple);
    CREATE VIRTUAL TABLE terms USING fts5vocab(docs, row);
    CREATE VIRTUAL TABLE areas USING rtree(id, a, b);
    CREATE VIEW hidden AS SELECT name FROM dbstat;
    CREATE VIEW shown AS SELECT a FROM plain;
    ANALYZE;
  `);
  const observed = authorizer(native, guard(native, ALLOWED));
  return {
    native,
    run(sql: string, ...params: string[]) {
      try {
        return observed.observe(() => native.prepare(sql)).result.all(...params);
      } catch (error) {
        return (error as Error).message;
      }
    },
    [Symbol.dispose]: () => native.close(),
  };
}

const list = (what: string) => {
  using db = new DatabaseSync(":memory:");
  return db.prepare(`SELECT DISTINCT name FROM pragma_${what}_list`).all().map(({ name }) => String(name));
};

Deno.test("every function that SQLite reports is allowed or refused on purpose, however it is written", () => {
  using db = guarded();
  const reported = list("function");
  assert.deepEqual(reported.filter((name) => !ALLOWED.functions.includes(name)).sort(), REFUSED);
  for (const name of REFUSED) {
    for (const written of [name, name.toUpperCase(), `"${name}"`, `[${name}]`]) {
      for (const args of ["", "?", "?, ?"]) {
        const result = db.run(
          `SELECT ${written}(${args})`,
          ...args.split(", ").filter(Boolean).map(() => "x"),
        );
        assert.match(
          String(result),
          /cannot call the function|wrong number of arguments/,
          `${written}(${args})`,
        );
      }
    }
  }
  assert.deepEqual(
    db.run("SELECT UPPER('a') AS up, 'b' LIKE 'B' AS alike"),
    [{ up: "A", alike: 1 }]
      .map((row) => Object.assign(Object.create(null), row)),
  );
});

Deno.test("only pragmas that read the schema are allowed, as statements and as tables", () => {
  using db = guarded();
  for (const name of list("pragma")) {
    const allowed = ALLOWED.pragmas.includes(name);
    for (const sql of [`PRAGMA ${name.toUpperCase()}`, `PRAGMA main.${name}(plain)`]) {
      if (allowed) assert.notEqual(typeof db.run(sql), "string", sql);
      else assert.match(String(db.run(sql)), /not authorized/, sql);
    }
    for (const columns of ["*", "count(*)", "1"]) {
      const sql = `SELECT ${columns} FROM "Pragma_${name}"`;
      const result = db.run(sql);
      if (allowed) assert.notEqual(typeof result, "string", sql);
      else assert.match(String(result), /cannot read the table|no such table/, sql);
    }
  }
  assert.notEqual(typeof db.run("PRAGMA table_info(plain)"), "string");
});

Deno.test("only virtual tables of full-text search are allowed, also through views", () => {
  using db = guarded();
  for (const name of list("module").filter((name) => !name.startsWith("pragma_"))) {
    for (const columns of ["*", "count(*)", "1"]) {
      for (const written of [name, `main.${name.toUpperCase()}`, `temp.${name}`, `"${name}"('x')`]) {
        const result = db.run(`SELECT ${columns} FROM ${written}`);
        assert.equal(typeof result, "string", `${written} is refused`);
      }
    }
  }
  const others = [
    "plain_using_fts5",
    '"x using fts5"',
    "terms",
    "hidden",
    "[old]",
    "sqlite_stat1",
    "sqlite_stat4",
  ];
  for (const name of others) {
    assert.match(String(db.run(`SELECT count(*) FROM ${name}`)), /cannot read the table|unsafe use/, name);
    assert.match(String(db.run(`SELECT * FROM ${name}`)), /cannot read the table|unsafe use/, name);
  }
  assert.match(String(db.run("SELECT * FROM areas")), /not authorized|cannot/);
  const allowed = [
    "SELECT text, rank FROM docs WHERE docs MATCH 'one' ORDER BY rank",
    "SELECT highlight(docs, 0, '[', ']') FROM docs('three')",
    `SELECT snippet("old docs") FROM "old docs" WHERE text MATCH 'x'`,
    "SELECT a FROM shown",
    "SELECT count(*) FROM SQLITE_SCHEMA",
    "SELECT key, value FROM JSON_EACH('[1]')",
    "WITH unknown AS (SELECT 1) SELECT count(*) FROM unknown",
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 3) SELECT 1 FROM c",
    "SELECT max(a) OVER (), a ->> '$' FROM plain p",
  ];
  for (const sql of allowed) {
    const result = db.run(sql);
    assert.notEqual(typeof result, "string", JSON.stringify([sql, result]));
  }
});

for (const runIn of ["process", "worker"] as const) {
  Deno.test(`in a ${runIn}, SQL that hands SQLite a pointer is refused and does not end the process`, async () => {
    const codes = await attack([
      ["SELECT hex(fts3_tokenizer(?))", ["simple"]],
      ["SELECT fts3_tokenizer(?1, ?2), rtreecheck('main', 'fts3tokenize')", ["simple", "AAAAAAAA"]],
      ["SELECT FTS3_TOKENIZER(?1, ?2)", ["simple", "AAAAAAAA"]],
      ["SELECT 1", []],
    ], runIn);
    assert.deepEqual(codes, ["refused_sql", "refused_sql", "refused_sql", "rows"]);
  });
}
