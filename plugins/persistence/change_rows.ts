/**
 * What a session recorded of a table, as whole rows.
 *
 * @module
 */

import type { Session } from "node:sqlite";
import { type ChangeRecord, parseChangeset, type RecordedChange } from "./changeset.ts";
import { narrowed } from "./statements.ts";
import type { Shape } from "./tables.ts";
import type { Row, RowChange, Value } from "./types.ts";

/** Changesets beyond this are not read: it would take longer than looking at the tables anew. */
const MAX_CHANGESET_BYTES = 16 * 1024 * 1024;

/**
 * The rows a session recorded, while its transaction is still open. Nothing if they cannot be told, for whatever
 * reason: whoever listens must then look for itself, and the write that did it must not fail for that.
 */
export function recordedRows(session: Session, shape: Shape): RowChange[] | undefined {
  try {
    const changeset = session.changeset();
    if (changeset.length > MAX_CHANGESET_BYTES) return undefined;
    const rows = parseChangeset(changeset).map((change) => wholeRow(change, shape));
    return rows.every((row) => row !== undefined) ? rows : undefined;
  } catch {
    return undefined;
  }
}

function wholeRow({ type, old, new: latest }: RecordedChange, shape: Shape): RowChange | undefined {
  const { columns } = shape;
  if (type === "insert") return { type, new: named(columns, latest!) };
  if (type === "delete") return { type, old: named(columns, old!) };
  // An update has the changed columns only; the others are still in the table.
  const row = shape.row(shape.key.map((at) => old![at]!));
  if (row === undefined) return undefined;
  const after = row.map(narrowed);
  const before = after.map((value, i) => old![i] === undefined ? value : old![i]);
  const changed = columns.filter((_, i) => latest![i] !== undefined);
  return { type, old: named(columns, before), new: named(columns, after), changed };
}

function named(columns: readonly string[], values: ChangeRecord): Row {
  const row: Row = {};
  for (let i = 0; i < columns.length; i++) row[columns[i]!] = values[i] as Value;
  return row;
}
