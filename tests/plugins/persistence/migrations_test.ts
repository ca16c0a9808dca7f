import assert from "node:assert/strict";
import type { Migration } from "../../../plugins/persistence.ts";
import { folder, opened, value } from "./kit.ts";

const STEPS: Migration[] = [
  "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes (text) VALUES ('one')",
  (tx) => {
    tx.exec("ALTER TABLE notes ADD COLUMN length INTEGER");
    for (const { id, text } of tx.all<{ id: number; text: string }>("SELECT id, text FROM notes")) {
      tx.run("UPDATE notes SET length = ? WHERE id = ?", [text.length, id]);
    }
  },
  "CREATE INDEX notes_by_length ON notes (length)",
];

Deno.test("each migration runs once, in order", async () => {
  using dir = folder();
  const path = dir.file("a.db");
  {
    await using db = await opened({ path });
    await db.store.migrate("notes", STEPS.slice(0, 2));
    await db.store.migrate("notes", STEPS.slice(0, 2));
  }
  await using db = await opened({ path });
  await db.store.migrate("notes", STEPS);
  assert.equal(value(db.store, "SELECT count(*) FROM notes"), 1);
  assert.equal(value(db.store, "SELECT length FROM notes"), 3);
  const done = db.store.all(
    "SELECT version FROM plugboard_migrations WHERE owner = 'notes' ORDER BY version",
  );
  assert.deepEqual(done.map(({ version }) => version), [1, 2, 3]);
});

Deno.test("each owner has its own versions", async () => {
  await using db = await opened();
  await db.store.migrate("a", ["CREATE TABLE a (x)"]);
  await db.store.migrate("b", ["CREATE TABLE b1 (x)", "CREATE TABLE b2 (x)"]);
  assert.ok(db.store.table("a") && db.store.table("b1") && db.store.table("b2"));
});

Deno.test("a failed migration is undone, earlier ones are kept and later ones do not run", async () => {
  await using db = await opened();
  const { store } = db;
  const broken: Migration[] = [
    "CREATE TABLE first (x)",
    "CREATE TABLE second (x); INSERT INTO nowhere VALUES (1)",
    "CREATE TABLE third (x)",
  ];
  await assert.rejects(store.migrate("app", broken), { code: "bad_sql", message: /nowhere/ });
  assert.ok(store.table("first"));
  assert.equal(store.table("second"), undefined);
  assert.equal(store.table("third"), undefined);
  await store.migrate("app", [broken[0]!, "CREATE TABLE second (x)", broken[2]!]);
  assert.ok(store.table("second") && store.table("third"));
});

Deno.test("a file that a newer program has used is refused with both versions", async () => {
  await using db = await opened();
  await db.store.migrate("notes", STEPS);
  await assert.rejects(db.store.migrate("notes", STEPS.slice(0, 2)), {
    code: "newer_schema",
    message: /its tables for notes have version 3, this program knows 2/,
  });
});
