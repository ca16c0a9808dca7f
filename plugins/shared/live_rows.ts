/**
 * For apps: keeps an array of rows up to date with a live query. The server also serves it to browsers, as
 * `/live_rows.js`.
 *
 * ```ts
 * import { liveRows } from "@plugboard/server/live_queries";
 *
 * const orders = liveRows<{ id: number; total: number }>();
 * orders.apply({ key: ["id"], rows: [{ id: 1, total: 5 }] });
 * orders.apply({ upsert: [{ id: 2, total: 7 }] });
 * console.log(orders.rows.length); // 2
 * ```
 *
 * @module
 */

/** A snapshot or a diff, as the server sends it. */
export interface LiveMessage<Row> {
  /** Snapshot: the key columns; `null` where rows are identified by position. */
  readonly key?: readonly string[] | null;
  /** Snapshot: the rows. */
  readonly rows?: readonly Row[];
  /** New and changed rows. */
  readonly upsert?: readonly Row[];
  /** Keys of removed rows. */
  readonly delete?: readonly unknown[];
  /** All keys in order, when the order has changed. */
  readonly order?: readonly unknown[];
  /** Without a key: positions and their new rows. */
  readonly at?: readonly (readonly [number, Row])[];
  /** Without a key: the new number of rows. */
  readonly length?: number;
}

/** Rows that follow a live query. */
export interface LiveRows<Row> {
  /** The current rows; a new array after each change. */
  readonly rows: readonly Row[];
  /** Applies a snapshot (the subscription's data) or a diff (a publication's data). Returns the rows. */
  apply(message: LiveMessage<Row>): readonly Row[];
}

/** Starts without rows. The first message must be a snapshot. */
export function liveRows<Row extends Record<string, unknown>>(): LiveRows<Row> {
  let key: readonly string[] | null = null;
  let rows: readonly Row[] = [];

  const keyOf = (row: Row) => {
    const values = key!.map((column) => row[column]);
    return JSON.stringify(values.length === 1 ? values[0] : values);
  };

  function applyByKey(message: LiveMessage<Row>): readonly Row[] {
    const byKey = new Map(rows.map((row) => [keyOf(row), row]));
    for (const removed of message.delete ?? []) byKey.delete(JSON.stringify(removed));
    for (const row of message.upsert ?? []) byKey.set(keyOf(row), row);
    return message.order?.map((each) => byKey.get(JSON.stringify(each))!) ?? [...byKey.values()];
  }

  function applyByPosition(message: LiveMessage<Row>): readonly Row[] {
    const next = rows.slice(0, message.length ?? rows.length);
    for (const [position, row] of message.at ?? []) next[position] = row;
    return next;
  }

  return {
    get rows() {
      return rows;
    },
    apply(message) {
      if (message.rows !== undefined) {
        key = message.key ?? null;
        rows = message.rows;
      } else rows = key === null ? applyByPosition(message) : applyByKey(message);
      return rows;
    },
  };
}
