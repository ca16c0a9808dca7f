/**
 * Marks: which rows and values of a store have something new.
 *
 * @module
 */

import type { MergeableStore } from "tinybase";
import type { Changes, TablesStamp, ThingsStamp } from "./messages.ts";
import { isEmpty, recordOf } from "./records.ts";

/** Tables and values as TinyBase nests them; only the keys count. */
type Tables = Readonly<
  Record<string, readonly [rows: Readonly<Record<string, unknown>>, ...rest: unknown[]]>
>;

/** A set of rows and values. */
export class Marks {
  readonly rows = new Map<string, Set<string>>();
  readonly values = new Set<string>();

  /** Whether nothing is marked. */
  get empty(): boolean {
    return this.rows.size === 0 && this.values.size === 0;
  }

  /** Marks every row and value that occurs. */
  add(tables: Tables, values: Readonly<Record<string, unknown>>): void {
    for (const [tableId, [rows]] of Object.entries(tables)) this.#addRows(tableId, Object.keys(rows));
    for (const valueId of Object.keys(values)) this.values.add(valueId);
  }

  /** Marks what another set has. */
  addAll(other: Marks): void {
    for (const [tableId, rows] of other.rows) this.#addRows(tableId, rows);
    for (const valueId of other.values) this.values.add(valueId);
  }

  /** Forgets everything. */
  clear(): void {
    this.rows.clear();
    this.values.clear();
  }

  #addRows(tableId: string, rowIds: Iterable<string>): void {
    let rows = this.rows.get(tableId);
    if (rows === undefined) this.rows.set(tableId, rows = new Set());
    for (const rowId of rowIds) rows.add(rowId);
  }
}

/**
 * The stamps of marked rows and values, deleted cells included, as the store keeps them: objects in cells are
 * still the text their writer made of them, which is what the hashes are made of.
 */
export function stampsOf(store: MergeableStore, marks: Marks): Changes {
  const rows = [...marks.rows].map(([tableId, ids]) =>
    [tableId, recordOf([...ids].map((id) => [id, {}] as const))] as const
  );
  const tables = store.getMergeableCellDiff(recordOf(rows)) as TablesStamp;
  if (marks.values.size === 0) return [tables, [{}], 1];
  const [all, hlc] = store.getMergeableValueDiff({}) as ThingsStamp;
  const values = recordOf(Object.entries(all).filter(([id]) => marks.values.has(id)));
  return [tables, hlc ? [values, hlc] : [values], 1];
}

/** The same, without the cells that `touched` does not have. */
export function touchedOf(store: MergeableStore, touched: Changes): Changes {
  const marks = new Marks();
  const [[touchedTables], [touchedValues]] = touched;
  marks.add(touchedTables, touchedValues);
  const stamps = stampsOf(store, marks);
  for (const [tableId, [rows]] of Object.entries(stamps[0][0])) {
    for (const [rowId, [cells]] of Object.entries(rows)) {
      const kept = touchedTables[tableId]?.[0][rowId]?.[0] ?? {};
      for (const cellId of Object.keys(cells)) if (!Object.hasOwn(kept, cellId)) delete cells[cellId];
    }
  }
  return stamps;
}

/** What `changes` has and `known` has not, or with another clock. Takes the rest out of `changes`. */
export function without(changes: Changes, known: Changes): Changes {
  const [[tables], [values]] = changes;
  for (const [tableId, [rows]] of Object.entries(tables)) {
    for (const [rowId, [cells]] of Object.entries(rows)) {
      takeOut(cells, known[0][0][tableId]?.[0][rowId]?.[0]);
      if (isEmpty(cells)) delete rows[rowId];
    }
    if (isEmpty(rows)) delete tables[tableId];
  }
  takeOut(values, known[1][0]);
  return changes;
}

function takeOut(things: ThingsStamp[0], known: ThingsStamp[0] | undefined): void {
  if (known === undefined) return;
  for (const [id, [, hlc]] of Object.entries(things)) {
    if (Object.hasOwn(known, id) && known[id]![1] === hlc) delete things[id];
  }
}
