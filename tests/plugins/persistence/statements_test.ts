import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { authorizer } from "../../../plugins/persistence/authorizer.ts";
import { startOfStatement } from "../../../plugins/shared/sql_text.ts";
import { statements } from "../../../plugins/persistence/statements.ts";

Deno.test("the most recently used statements are cached, up to the limit", () => {
  using native = new DatabaseSync(":memory:");
  const cache = statements(native, authorizer(native), 2, (prepare) => prepare());
  const one = cache.get("SELECT 1");
  const two = cache.get("SELECT 2");
  assert.equal(cache.get("SELECT 1"), one);
  cache.get("SELECT 3");
  assert.equal(cache.get("SELECT 1"), one);
  assert.notEqual(cache.get("SELECT 2"), two);
  cache.clear();
  assert.notEqual(cache.get("SELECT 1"), one);
});

Deno.test("a statement begins after white space, comments and semicolons", () => {
  const begins = (sql: string, from?: number) => sql.slice(startOfStatement(sql, from));
  assert.equal(begins(" \t\n;;-- a ; b\n/* c */\uFEFFSELECT 1"), "SELECT 1");
  assert.equal(begins("SELECT 1; SELECT 2", 9), "SELECT 2");
  for (const nothing of ["", " ", ";", "--", "-- a", "/*", "/* a", "/**/", "/* */ -- x\n"]) {
    assert.equal(begins(nothing), "");
  }
  for (const wrong of ["1", "(SELECT 1)", "'a'", "é", "*/", "-", "/ *"]) {
    assert.throws(() => startOfStatement(wrong), { code: "bad_sql" });
  }
});

// Preparing a text without a statement returns an object that crashes the process when its SQL is read.
Deno.test("no text crashes the process", () => {
  using native = new DatabaseSync(":memory:");
  const cache = statements(native, authorizer(native), 100, (prepare) => prepare());
  const piece = fc.constantFrom(
    " ",
    "\n",
    ";",
    "--",
    "/*",
    "*/",
    "-",
    "/",
    "SELECT 1",
    "'",
    '"',
    "\uFEFF",
    "\0",
    "é",
    "(",
    "?",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const sql = pieces.join("");
      try {
        cache.get(sql).all();
      } catch (error) {
        assert.equal((error as { code: string }).code, "bad_sql", sql);
      }
      try {
        for (const statement of cache.script(sql)) statement.run();
      } catch (error) {
        assert.equal((error as { code: string }).code, "bad_sql", sql);
      }
    }),
    { numRuns: 3_000 },
  );
});

// The runtime's `iterate`, which is used for reads with a limit, treats a failure as the end of the rows.
Deno.test("a read with a limit that fails at a later row is an error, not a short result", () => {
  using native = new DatabaseSync(":memory:");
  const cache = statements(native, authorizer(native), 100, (prepare) => prepare());
  native.exec("CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
  const statement = cache.get("SELECT json(iif(n = ?, '{', n)) AS n FROM t");
  for (const bad of [1, 2, 3]) {
    assert.throws(() => statement.all([bad], { maxRows: 10 }), {
      code: "bad_sql",
      message: "malformed JSON",
    });
    assert.equal(statement.all([0], { maxRows: 10 }).length, 3);
  }
  assert.throws(() => statement.all([0], { maxRows: 2 }), { code: "too_many_rows" });
});
