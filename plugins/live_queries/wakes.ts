/**
 * Who wakes: finds the instances of queries that a change of rows may concern, without looking at the others.
 *
 * @module
 */

import type { Condition } from "./conditions.ts";
import { keyOf, type SqlValue } from "./values.ts";

/** A row before and after. Names of columns are as they were declared. */
export interface Change {
  /** Absent for an insert. */
  readonly before?: Readonly<Record<string, SqlValue>>;
  /** Absent for a delete. */
  readonly after?: Readonly<Record<string, SqlValue>>;
  /** The columns that an update changed; an insert and a delete change all. */
  readonly changed?: readonly string[];
}

/** What a query depends on in one table. */
export interface Dependency {
  /** Its name, in lower case. */
  readonly table: string;
  /** The columns it reads; a change of others does not concern it. */
  readonly columns: ReadonlySet<string>;
  readonly conditions: readonly Condition[];
}

/** An instance's dependency, with its values filled in. */
interface Watcher<Instance> {
  readonly instance: Instance;
  readonly columns: ReadonlySet<string>;
  /** For each condition: the column, and the keys of which a row must have one. */
  readonly conditions: readonly { readonly column: string; readonly keys: ReadonlySet<string> }[];
}

/** The watchers of one table. */
class TableWatchers<Instance> {
  /** Those without a condition. */
  readonly #always = new Set<Watcher<Instance>>();
  /** Those with: by the column of their first condition, then by key. */
  readonly #byValue = new Map<string, Map<string, Set<Watcher<Instance>>>>();

  add(watcher: Watcher<Instance>): void {
    for (const set of this.#places(watcher)) set.add(watcher);
  }

  delete(watcher: Watcher<Instance>): void {
    this.#always.delete(watcher);
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
    return this.#always.size === 0 && this.#byValue.size === 0;
  }

  all(): Instance[] {
    const sets = [this.#always, ...Array.from(this.#byValue.values(), (byKey) => [...byKey.values()]).flat()];
    return sets.flatMap((set) => Array.from(set, ({ instance }) => instance));
  }

  find(change: Change, found: Set<Instance>): void {
    for (const watcher of this.#always) if (concerns(watcher, change)) found.add(watcher.instance);
    for (const [column, byKey] of this.#byValue) {
      for (const row of [change.before, change.after]) {
        if (row === undefined) continue;
        for (const watcher of byKey.get(keyOf(row[column])) ?? []) {
          if (concerns(watcher, change)) found.add(watcher.instance);
        }
      }
    }
  }

  *#places(watcher: Watcher<Instance>): Iterable<Set<Watcher<Instance>>> {
    const [first] = watcher.conditions;
    if (first === undefined) return yield this.#always;
    let byKey = this.#byValue.get(first.column);
    if (byKey === undefined) this.#byValue.set(first.column, byKey = new Map());
    for (const key of first.keys) {
      let set = byKey.get(key);
      if (set === undefined) byKey.set(key, set = new Set());
      yield set;
    }
  }
}

/** Finds instances by what they depend on. */
export class WakeIndex<Instance> {
  readonly #tables = new Map<string, TableWatchers<Instance>>();
  readonly #watchers = new Map<Instance, (readonly [string, Watcher<Instance>])[]>();

  /** Told when a table gets its first watcher, and when it loses its last. */
  readonly #onTable: (table: string, watched: boolean) => void;

  constructor(onTable: (table: string, watched: boolean) => void) {
    this.#onTable = onTable;
  }

  /** Adds an instance with the values of its parameters. */
  add(
    instance: Instance,
    dependencies: readonly Dependency[],
    value: (param: string) => SqlValue | undefined,
  ): void {
    const watchers = dependencies.map(({ table, columns, conditions }) => {
      const filled = conditions.map(({ column, operands }) => ({
        column,
        keys: new Set(operands.map((each) => keyOf("param" in each ? value(each.param) : each.value))),
      }));
      const watcher = { instance, columns, conditions: filled };
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

  /** Removes an instance and all that was kept for it. */
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

  /** Finds the instances that changes of a table's rows may concern. */
  find(table: string, changes: Iterable<Change>, found: Set<Instance>): void {
    const watching = this.#tables.get(table);
    if (watching === undefined) return;
    for (const change of changes) watching.find(change, found);
  }

  /** Everybody who depends on a table. */
  findAll(table: string): Instance[] {
    return this.#tables.get(table)?.all() ?? [];
  }
}

/** Whether a change touches what a watcher reads, in a row that can have a part in its result. */
function concerns(
  { columns, conditions }: Watcher<unknown>,
  { before, after, changed }: Change,
): boolean {
  if (changed !== undefined && !changed.some((column) => columns.has(column))) return false;
  const fits = (row: Change["before"]) =>
    row !== undefined && conditions.every(({ column, keys }) => keys.has(keyOf(row[column])));
  return fits(before) || fits(after);
}
