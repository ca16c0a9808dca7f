/**
 * The wake index: finds the instances whose results a change of rows can affect, without looking at the others.
 *
 * @module
 */

import type { Changes, RowChange } from "../persistence.ts";
import type { Condition } from "./conditions.ts";
import { keyOf, type SqlValue } from "./values.ts";

/** The part of one table that a query depends on. */
export interface Dependency {
  /** Its name in lower case. */
  readonly table: string;
  /** The columns that the query reads, as declared. An update of others does not affect it. */
  readonly columns: ReadonlySet<string>;
  /** A row affects it only if it meets all conditions. */
  readonly conditions: readonly Condition[];
}

/** A dependency of an instance, with the values of its parameters. */
interface Watcher<Instance> {
  readonly instance: Instance;
  readonly columns: ReadonlySet<string>;
  /** For each condition, the column and the keys of which a row must have one. */
  readonly conditions: readonly { readonly column: string; readonly keys: ReadonlySet<string> }[];
}

/** The watchers of one table. */
class TableWatchers<Instance> {
  readonly #unconditional = new Set<Watcher<Instance>>();
  /** Watchers with conditions: by the column of the first one, then by key. */
  readonly #byValue = new Map<string, Map<string, Set<Watcher<Instance>>>>();

  add(watcher: Watcher<Instance>): void {
    for (const set of this.#setsFor(watcher)) set.add(watcher);
  }

  delete(watcher: Watcher<Instance>): void {
    this.#unconditional.delete(watcher);
    const [first] = watcher.conditions;
    if (first === undefined) return;
    const byKey = this.#byValue.get(first.column);
    for (const key of first.keys) {
      const set = byKey?.get(key);
      set?.delete(watcher);
      if (set?.size === 0) byKey!.delete(key);
    }
    if (byKey?.size === 0) this.#byValue.delete(first.column);
  }

  get empty(): boolean {
    return this.#unconditional.size === 0 && this.#byValue.size === 0;
  }

  *all(): Iterable<Watcher<Instance>> {
    yield* this.#unconditional;
    for (const byKey of this.#byValue.values()) for (const set of byKey.values()) yield* set;
  }

  find(change: RowChange, found: Set<Instance>): void {
    const [before, after] = rowsOf(change);
    const check = (watcher: Watcher<Instance>) => {
      if (affects(change, watcher)) found.add(watcher.instance);
    };
    this.#unconditional.forEach(check);
    for (const [column, byKey] of this.#byValue) {
      if (before !== undefined) byKey.get(keyOf(before[column]))?.forEach(check);
      if (after !== undefined) byKey.get(keyOf(after[column]))?.forEach(check);
    }
  }

  *#setsFor(watcher: Watcher<Instance>): Iterable<Set<Watcher<Instance>>> {
    const [first] = watcher.conditions;
    if (first === undefined) return yield this.#unconditional;
    let byKey = this.#byValue.get(first.column);
    if (byKey === undefined) this.#byValue.set(first.column, byKey = new Map());
    for (const key of first.keys) {
      let set = byKey.get(key);
      if (set === undefined) byKey.set(key, set = new Set());
      yield set;
    }
  }
}

/** Instances by their dependencies. */
export class WakeIndex<Instance> {
  readonly #tables = new Map<string, TableWatchers<Instance>>();
  readonly #watchers = new Map<Instance, (readonly [string, Watcher<Instance>])[]>();
  readonly #onTable: (table: string, watched: boolean) => void;

  /** Calls `onTable` when a table gets its first watcher or loses its last. */
  constructor(onTable: (table: string, watched: boolean) => void) {
    this.#onTable = onTable;
  }

  /** Adds an instance, or replaces its dependencies. */
  set(
    instance: Instance,
    dependencies: readonly Dependency[],
    valueOf: (param: string) => SqlValue | undefined,
  ): void {
    this.delete(instance);
    const watchers = dependencies.map(({ table, columns, conditions }) => {
      const withValues = conditions.map(({ column, operands }) => ({
        column,
        keys: new Set(operands.map((each) => keyOf("param" in each ? valueOf(each.param) : each.value))),
      }));
      const watcher = { instance, columns, conditions: withValues };
      let watching = this.#tables.get(table);
      if (watching === undefined) {
        this.#tables.set(table, watching = new TableWatchers());
        this.#onTable(table, true);
      }
      watching.add(watcher);
      return [table, watcher] as const;
    });
    this.#watchers.set(instance, watchers);
  }

  /** Removes an instance. */
  delete(instance: Instance): void {
    for (const [table, watcher] of this.#watchers.get(instance) ?? []) {
      const watching = this.#tables.get(table)!;
      watching.delete(watcher);
      if (!watching.empty) continue;
      this.#tables.delete(table);
      this.#onTable(table, false);
    }
    this.#watchers.delete(instance);
  }

  /** Finds the instances that these changes can affect. */
  find(tables: Changes["tables"]): ReadonlySet<Instance> {
    const found = new Set<Instance>();
    for (const [name, { rows }] of tables) {
      const watching = this.#tables.get(name);
      if (watching === undefined) continue;
      if (rows === undefined) { for (const { instance } of watching.all()) found.add(instance); }
      else for (const change of rows) watching.find(change, found);
    }
    return found;
  }
}

/** The row before and after a change. */
function rowsOf(change: RowChange) {
  return [
    change.type === "insert" ? undefined : change.old,
    change.type === "delete" ? undefined : change.new,
  ] as const;
}

/** Whether a change touches a column that the watcher reads, in a row that meets its conditions. */
function affects(change: RowChange, { columns, conditions }: Watcher<unknown>): boolean {
  if (change.type === "update" && !change.changed.some((column) => columns.has(column))) return false;
  return rowsOf(change).some((row) =>
    row !== undefined && conditions.every(({ column, keys }) => keys.has(keyOf(row[column])))
  );
}
