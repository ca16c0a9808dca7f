import type { MergeableStore } from "tinybase";
import type { Changes, TablesStamp, ThingsStamp } from "./messages.ts";
import { isEmpty, recordOf } from "../../shared/records.ts";

/** Tables as TinyBase nests them; only the keys are read. */
type Tables = Readonly<
  Record<string, readonly [rows: Readonly<Record<string, unknown>>, ...rest: unknown[]]>
>;

/** The rows and values of a store that have changed. */
export class ChangedKeys {
  readonly rows = new Map<string, Set<string>>();
  readonly values = new Set<string>();

  get empty(): boolean {
    return this.rows.size === 0 && this.values.size === 0;
  }

  /** Adds all rows of `tables` and all `values`. */
  add(tables: Tables, values: Readonly<Record<string, unknown>>): void {
    for (const [tableId, [rows]] of Object.entries(tables)) this.#addRows(tableId, Object.keys(rows));
    for (const valueId of Object.keys(values)) this.values.add(valueId);
  }

  addAll(other: ChangedKeys): void {
    for (const [tableId, rows] of other.rows) this.#addRows(tableId, rows);
    for (const valueId of other.values) this.values.add(valueId);
  }

  #addRows(tableId: string, rowIds: Iterable<string>): void {
    const rows = this.rows.getOrInsertComputed(tableId, () => new Set());
    for (const rowId of rowIds) rows.add(rowId);
  }
}

/**
 * Returns the stamps of rows and values, with deleted cells. Objects in cells are the text that their writer sent,
 * because that is what the hashes are computed from.
 */
export function stampsOf(store: MergeableStore, keys: ChangedKeys): Changes {
  const rows = [...keys.rows].map(([tableId, ids]) =>
    [tableId, recordOf([...ids].map((id) => [id, {}] as const))] as const
  );
  const tables = store.getMergeableCellDiff(recordOf(rows)) as TablesStamp;
  if (keys.values.size === 0) return [tables, [{}], 1];
  const [all, hlc] = store.getMergeableValueDiff({}) as ThingsStamp;
  const values = recordOf(Object.entries(all).filter(([id]) => keys.values.has(id)));
  return [tables, hlc ? [values, hlc] : [values], 1];
}

/** Returns the stamps of the cells and values in `changes`. */
export function stampsOfCells(store: MergeableStore, changes: Changes): Changes {
  const keys = new ChangedKeys();
  const [[changedTables], [changedValues]] = changes;
  keys.add(changedTables, changedValues);
  const stamps = stampsOf(store, keys);
  for (const [tableId, [rows]] of Object.entries(stamps[0][0])) {
    for (const [rowId, [cells]] of Object.entries(rows)) {
      const changed = changedTables[tableId]?.[0][rowId]?.[0] ?? {};
      for (const cellId of Object.keys(cells)) if (!Object.hasOwn(changed, cellId)) delete cells[cellId];
    }
  }
  return stamps;
}

/** Removes from `changes` what `known` contains with the same clock. Returns `changes`. */
export function removeKnown(changes: Changes, known: Changes): Changes {
  const [[tables], [values]] = changes;
  for (const [tableId, [rows]] of Object.entries(tables)) {
    for (const [rowId, [cells]] of Object.entries(rows)) {
      removeKnownThings(cells, known[0][0][tableId]?.[0][rowId]?.[0]);
      if (isEmpty(cells)) delete rows[rowId];
    }
    if (isEmpty(rows)) delete tables[tableId];
  }
  removeKnownThings(values, known[1][0]);
  return changes;
}

function removeKnownThings(things: ThingsStamp[0], known: ThingsStamp[0] | undefined): void {
  if (known === undefined) return;
  for (const [id, [, hlc]] of Object.entries(things)) {
    if (Object.hasOwn(known, id) && known[id]![1] === hlc) delete things[id];
  }
}
