import assert from "node:assert/strict";
import fc from "fast-check";
import type { Changes, Reader, Store, Transaction } from "../../../plugins/persistence.ts";
import { outcomes } from "./items.ts";
import { folder, opened } from "./kit.ts";

const NOTES = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";

function append(store: Store, id: number, text: string): Promise<void> {
  return store.write((tx) => tx.append("notes", [id, text]));
}

function texts(reader: Pick<Reader, "all">): string {
  return reader.all<{ text: string }>("SELECT text FROM notes ORDER BY id").map(({ text }) => text).join();
}

Deno.test("rows that writes of one turn append are there for later writes and reads", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(NOTES);
  const reading = (sql: string, read: Pick<Store, "get"> | undefined) =>
    store.write((tx) => Object.values((read ?? tx).get(sql)!)[0]);
  const results = await Promise.all([
    ...Array.from({ length: 150 }, (_, n) => append(store, n, `${n}`)),
    reading("SELECT count(*) FROM notes", undefined),
    append(store, 150, "150"),
    reading("SELECT count(*) FROM notes", store),
    append(store, 151, "151"),
    store.write((tx) => tx.run("UPDATE notes SET text = 'changed' WHERE id = 151").changes),
    append(store, 152, "152"),
    store.exec(
      "CREATE TABLE copies (id INTEGER); CREATE TRIGGER copy AFTER INSERT ON notes BEGIN INSERT INTO copies VALUES (new.id); END",
    ),
    append(store, 153, "153"),
  ]);
  assert.deepEqual([results[150], results[152], results[154]], [150, 151, 1]);
  assert.equal(texts(store), Array.from({ length: 154 }, (_, n) => n === 151 ? "changed" : `${n}`).join());
  assert.deepEqual(store.all<{ id: number }>("SELECT id FROM copies").map(({ id }) => id), [153]);
});

Deno.test("what appended rows and their triggers change is there for the next statement", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`
    CREATE TABLE "My Notes" (id INTEGER PRIMARY KEY, text TEXT);
    CREATE TABLE settings (prefix TEXT);
    INSERT INTO settings VALUES ('old ');
    CREATE TABLE log (text TEXT);
    CREATE TRIGGER logged AFTER INSERT ON "My Notes" BEGIN
      INSERT INTO log SELECT prefix || new.text FROM settings;
    END`);
  const write = store.write((tx) => {
    tx.append("My Notes", [1, "a"]);
    const notes = tx.get<{ n: number }>('SELECT count(*) AS n FROM "my notes"')!.n;
    tx.append("My Notes", [2, "b"]);
    const logged = tx.get<{ n: number }>("SELECT count(*) AS n FROM log")!.n;
    tx.append("My Notes", [3, "c"]);
    tx.run("UPDATE settings SET prefix = 'new '");
    tx.append("My Notes", [4, "d"]);
    return [notes, logged];
  });
  // Rows are inserted together where several writes share a commit.
  const last = store.write((tx) => tx.append("My Notes", [5, "e"]));
  assert.deepEqual(await write, [1, 2]);
  await last;
  const log = store.all<{ text: string }>("SELECT text FROM log ORDER BY rowid").map(({ text }) => text);
  assert.deepEqual(log, ["old a", "old b", "old c", "new d", "new e"]);
  await assert.rejects(store.write((tx) => tx.append("notes (id) SELECT 1 --", [1])), /no such table/);
});

Deno.test("a watch reports appended rows, and text that would be stored differently is refused", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(NOTES);
  const seen: Changes[] = [];
  store.watch((changes) => void seen.push(changes), ["notes"]);
  const results = await outcomes([append(store, 1, "a"), append(store, 2, "b\0"), append(store, 3, "c")]);
  assert.deepEqual(results, [undefined, "A parameter must not contain a NUL character", undefined]);
  const rows = seen.flatMap(({ tables }) => tables.get("notes")?.rows ?? []);
  assert.deepEqual(rows.map((row) => row.type === "insert" && row.new.text), ["a", "c"]);
});

Deno.test("a row that the table refuses fails only the write that appended it", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`${NOTES}; CREATE TABLE others (id INTEGER PRIMARY KEY)`);
  const results = await outcomes([
    append(store, 1, "a").then(() => "a"),
    append(store, 1, "b"),
    append(store, 2, "c").then(() => "c"),
    store.write((tx) => tx.append("notes", [3])),
    store.write((tx) => tx.append("notes", [4, "half \ud800"])),
    store.write((tx) => tx.append("notes", [5, null])),
    store.write((tx) => tx.append("others", [1])).then(() => "other"),
    store.write((tx) => {
      tx.append("notes", [6, "undone"]);
      throw new Error("changed my mind");
    }),
    append(store, 7, "d").then(() => "d"),
  ]);
  assert.deepEqual(results, [
    "a",
    "UNIQUE constraint failed: notes.id",
    "c",
    "table notes has 2 columns but 1 values were supplied",
    "A parameter contains half a surrogate pair",
    "NOT NULL constraint failed: notes.text",
    "other",
    "changed my mind",
    "d",
  ]);
  assert.equal(texts(store), "a,c,d");
});

Deno.test("a read of another write does not fail because of a row that the table refuses", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(NOTES);
  const results = await outcomes([
    append(store, 1, "a").then(() => "a"),
    append(store, 1, "b"),
    store.write((tx) => texts(tx)),
    store.write((tx) => {
      try {
        return texts(tx);
      } catch {
        return "hidden";
      }
    }),
  ]);
  assert.deepEqual(results, ["a", "UNIQUE constraint failed: notes.id", "a", "a"]);
});

Deno.test("a row that does not fit in the file fails only the write that appended it", async () => {
  using dir = folder();
  await using db = await opened({ path: dir.file("a.db"), maxBytes: 400_000 });
  const { store } = db;
  await store.exec(NOTES);
  const sizes = [10, 1_000_000, 20, 2_000_000, 30];
  const settled = await Promise.allSettled(sizes.map((size, id) => append(store, id, "x".repeat(size))));
  const codes = settled.map((each) => each.status === "fulfilled" ? "ok" : each.reason.code);
  assert.deepEqual(codes, ["ok", "disk_full", "ok", "disk_full", "ok"]);
  assert.equal(texts(store), [10, 20, 30].map((size) => "x".repeat(size)).join());
});

/** What one write does. */
type Act = { type: "append" | "run"; id: number } | { type: "read" | "readOutside" | "fail" | "savepoint" };

const id = fc.nat({ max: 400 });
const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    { weight: 24, arbitrary: fc.record({ type: fc.constant("append" as const), id }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("run" as const), id }) },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constantFrom("read" as const, "readOutside" as const, "savepoint" as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("fail" as const) }) },
  ),
  { maxLength: 4 },
);

/** Does it on a table or a model; returns what was read. */
interface Notes {
  insert(id: number, append: boolean): void;
  count(outside: boolean): number;
  savepoint(fn: () => void): void;
}

function perform(todo: readonly Act[], notes: Notes): number[] {
  const read: number[] = [];
  for (const [n, act] of todo.entries()) {
    if (act.type === "append" || act.type === "run") notes.insert(act.id, act.type === "append");
    else if (act.type === "fail") throw new Error("failed");
    else if (act.type === "savepoint") {
      try {
        notes.savepoint(() => {
          read.push(...perform(todo.slice(n + 1), notes));
          if (n % 2 === 0) throw new Error("undone");
        });
      } catch {
        // the rest was undone
      }
      return read;
    } else read.push(notes.count(act.type === "readOutside"));
  }
  return read;
}

/** Writes in the order of the calls, each of them completely or not at all. */
class Model implements Notes {
  stored = new Set<number>();
  insert(id: number): void {
    if (this.stored.has(id)) throw new Error("UNIQUE");
    this.stored.add(id);
  }
  count(): number {
    return this.stored.size;
  }
  savepoint(fn: () => void): void {
    const before = new Set(this.stored);
    try {
      fn();
    } catch (error) {
      this.stored = before;
      throw error;
    }
  }
}

function inTransaction(tx: Transaction, store: Store): Notes {
  return {
    insert(id, append) {
      if (append) tx.append("notes", [id, "x"]);
      else tx.run("INSERT INTO notes VALUES (?, 'x')", [id]);
    },
    count: (outside) => (outside ? store : tx).get<{ n: number }>("SELECT count(*) AS n FROM notes")!.n,
    savepoint: (fn) => tx.savepoint(fn),
  };
}

Deno.test("appended rows are like those of statements, whatever fails, is undone or read", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(acts, { maxLength: 120, size: "max" }), async (writes) => {
      await using db = await opened();
      const { store } = db;
      await store.exec(NOTES);
      const model = new Model();
      const settled = await Promise.allSettled(
        writes.map((todo) => store.write((tx) => perform(todo, inTransaction(tx, store)))),
      );
      for (const [n, todo] of writes.entries()) {
        let wanted: number[] | undefined;
        try {
          model.savepoint(() => wanted = perform(todo, model));
        } catch {
          wanted = undefined;
        }
        const found = settled[n]!;
        assert.deepEqual(found.status === "fulfilled" ? found.value : undefined, wanted, `write ${n}`);
      }
      const ids = store.all<{ id: number }>("SELECT id FROM notes").map(({ id }) => id);
      assert.deepEqual(new Set(ids), model.stored);
    }),
    { numRuns: 60 },
  );
});
