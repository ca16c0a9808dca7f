/**
 * The changes that a session recorded of one table, as whole rows.
 *
 * @module
 */

import type { Session } from "node:sqlite";
import type { Table } from "./catalog.ts";
import { type ChangeRecord, parseChangeset, type RecordedChange } from "./changeset.ts";
import type { Row, RowChange, Value } from "./sql_types.ts";
import { narrowed } from "./statements.ts";

/** Larger changesets are not parsed: reading the table again is faster. */
const MAX_CHANGESET_BYTES = 16 * 1024 * 1024;

/**
 * Returns the rows that a session recorded, while its transaction is still open. Returns `undefined` if they are not
 * known for any reason: listeners then read the table themselves, and the write does not fail.
 */
export function recordedRows(session: Session, table: Table): RowChange[] | undefined {
  try {
    const changeset = session.changeset();
    if (changeset.length > MAX_CHANGESET_BYTES) return undefined;
    const rows = parseChangeset(changeset).map((change) => wholeRow(change, table));
    return rows.every((row) => row !== undefined) ? rows : undefined;
  } catch {
    return undefined;
  }
}

function wholeRow({ type, old, new: latest }: RecordedChange, table: Table): RowChange | undefined {
  const { stored } = table.info;
  if (type === "insert") return { type, new: named(stored, latest!) };
  if (type === "delete") return { type, old: named(stored, old!) };
  // An update contains only the changed columns. The table has the others.
  const row = table.row(table.key.map((at) => old![at]!));
  if (row === undefined) return undefined;
  const after = row.map(narrowed);
  const before = after.map((value, i) => old![i] === undefined ? value : old![i]);
  const changed = stored.filter((_, i) => latest![i] !== undefined);
  return { type, old: named(stored, before), new: named(stored, after), changed };
}

function named(columns: readonly string[], values: ChangeRecord): Row {
  const row: Row = {};
  for (let i = 0; i < columns.length; i++) row[columns[i]!] = values[i] as Value;
  return row;
}
