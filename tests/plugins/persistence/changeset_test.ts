import assert from "node:assert/strict";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import fc from "fast-check";
import { parseChangeset } from "../../../plugins/persistence/changeset.ts";

/** Returns what a session records of some statements. */
function changesetOf(setup: string, change: (db: DatabaseSync) => void): Uint8Array {
  const db = new DatabaseSync(":memory:");
  try {
    db.exec(setup);
    const session = db.createSession();
    change(db);
    const changeset = session.changeset();
    session.close();
    return changeset;
  } finally {
    db.close();
  }
}

Deno.test("the operations of a changeset are parsed with their recorded columns", () => {
  const setup = `
    CREATE TABLE a (id INTEGER PRIMARY KEY, x, y);
    CREATE TABLE "strange name é" (k TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;
    INSERT INTO a VALUES (1, 'one', 1.5), (2, 'two', NULL);
  `;
  const changeset = changesetOf(setup, (db) => {
    db.exec(
      `UPDATE a SET x = 'uno' WHERE id = 1; DELETE FROM a WHERE id = 2; INSERT INTO a VALUES (-3, x'00ff', NULL)`,
    );
    db.exec(`INSERT INTO "strange name é" VALUES ('k')`);
  });
  const changes = parseChangeset(changeset).sort((a, b) => a.type < b.type ? -1 : 1);
  assert.deepEqual(changes, [
    { table: "a", type: "delete", old: [2, "two", null], new: undefined },
    { table: "a", type: "insert", old: undefined, new: [-3, new Uint8Array([0, 255]), null] },
    { table: "strange name é", type: "insert", old: undefined, new: ["k"] },
    { table: "a", type: "update", old: [1, "one", undefined], new: [undefined, "uno", undefined] },
  ]);
});

Deno.test("an empty changeset has no changes, an invalid one is an error", () => {
  assert.deepEqual(parseChangeset(new Uint8Array()), []);
  assert.throws(() => parseChangeset(new Uint8Array([0x54, 1, 1, 97, 0, 18, 0, 9])));
  assert.throws(() => parseChangeset(new Uint8Array([0x54, 1, 1, 97, 0, 99, 0, 5, 5])));
});

Deno.test("every value is parsed unchanged", () => {
  const values: fc.Arbitrary<SQLInputValue> = fc.oneof(
    fc.constant(null),
    fc.double({ noNaN: true }),
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.string({ unit: "binary", maxLength: 300 }).map((text) => text.replaceAll("\0", "")),
    fc.uint8Array({ maxLength: 300 }),
  );
  fc.assert(
    fc.property(fc.array(values, { minLength: 1, maxLength: 5 }), (row) => {
      const columns = row.map((_, i) => `c${i}`).join(", ");
      const changeset = changesetOf(`CREATE TABLE t (id INTEGER PRIMARY KEY, ${columns})`, (db) => {
        db.prepare(`INSERT INTO t VALUES (1, ${row.map(() => "?").join(", ")})`).run(...row);
      });
      const [change] = parseChangeset(changeset);
      assert.deepEqual(change!.new, [1, ...row.map(asStored)]);
    }),
    { numRuns: 300 },
  );
});

/** Integers are numbers if that is exact. */
function asStored(value: SQLInputValue): unknown {
  if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) return Number(value);
  return value;
}
