import assert from "node:assert/strict";
import fc from "fast-check";
import type { Changes, Row, Store, TableChange } from "../../../plugins/persistence.ts";
import { COLUMNS, history, KNOWN_ROWS, perform, SCHEMA } from "./histories.ts";
import { opened } from "./kit.ts";

/** A copy of the tables that only applies reported changes. */
class Shadow {
  readonly #store: Store;
  readonly #tables = new Map<string, Map<string, Row>>();
  readonly #names: readonly string[];
  applied = 0;

  constructor(store: Store, names: readonly string[]) {
    this.#store = store;
    this.#names = names;
    for (const name of names) this.#reload(name);
  }

  apply({ tables, schema }: Changes): void {
    for (const [name, change] of tables) {
      if (change.rows === undefined) {
        assert.ok(schema || !KNOWN_ROWS.includes(name), `the rows of ${name} are not known`);
        this.#reload(name);
      } else this.#change(this.#tables.get(name)!, change);
    }
    // Added and dropped columns are not part of changed rows.
    if (schema) { for (const name of this.#names) this.#reload(name); }
  }

  check(): void {
    for (const name of this.#names) {
      assert.deepEqual(sorted(this.#tables.get(name)!.values()), sorted(this.#rows(name)), name);
    }
  }

  #change(rows: Map<string, Row>, { rows: changes = [], primaryKey }: TableChange): void {
    const keyOf = (row: Row) => text(primaryKey.map((column) => row[column]));
    for (const change of changes) {
      this.applied++;
      if (change.type === "insert") continue;
      assert.deepEqual(change.old, rows.get(keyOf(change.old)));
      if (change.type === "delete") rows.delete(keyOf(change.old));
      else rows.set(keyOf(change.new), change.new);
    }
    for (const change of changes) {
      if (change.type !== "insert") continue;
      assert.ok(!rows.has(keyOf(change.new)), "inserted twice");
      rows.set(keyOf(change.new), change.new);
    }
  }

  #reload(name: string): void {
    const primaryKey = this.#store.table(name)!.primaryKey;
    const keyed = this.#rows(name).map((row, i) =>
      [
        primaryKey.length > 0 && Object.values(row)[0] !== null
          ? text(primaryKey.map((column) => row[column]))
          : `row ${i}`,
        row,
      ] as const
    );
    this.#tables.set(name, new Map(keyed));
  }

  #rows(name: string): Row[] {
    return this.#store.all(`SELECT * FROM ${name}`).map(({ next: _generated, ...row }) => row);
  }
}

function text(value: unknown): string {
  return JSON.stringify(value, (_, each) => typeof each === "bigint" ? `${each}n` : each);
}

function sorted(rows: Iterable<Row>): Row[] {
  return [...rows].sort((x, y) => text(x) < text(y) ? -1 : 1);
}

Deno.test("a copy that applies the changes equals the tables after any writes", async () => {
  let applied = 0;
  await fc.assert(
    fc.asyncProperty(history, fc.subarray(Object.keys(COLUMNS), { minLength: 1 }), async (turns, watched) => {
      await using db = await opened();
      const { store } = db;
      await store.exec(SCHEMA);
      const shadow = new Shadow(store, watched);
      let failure: unknown;
      store.watch((changes) => {
        try {
          shadow.apply(changes);
          shadow.check();
        } catch (error) {
          failure ??= error;
        }
      }, watched);
      for (const writes of turns) {
        await Promise.allSettled(writes.map((each) =>
          store.write((tx) => {
            perform(tx, each.steps);
            if (each.fails) throw new Error("undo");
          })
        ));
        if (failure !== undefined) throw failure;
        shadow.check();
      }
      applied += shadow.applied;
    }),
    { numRuns: 400 },
  );
  assert.ok(applied > 500, `only ${applied} rows were reported: this tests too little`);
});
