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

/** A snapshot or a diff, as it comes from the server. */
export interface LiveMessage<Row> {
  /** With a snapshot: the columns that tell rows apart; null where the position does. */
  readonly key?: readonly string[] | null;
  /** A snapshot's rows. */
  readonly rows?: readonly Row[];
  /** Rows that are new or have changed. */
  readonly upsert?: readonly Row[];
  /** Keys of rows that are gone. */
  readonly delete?: readonly unknown[];
  /** All keys in their order, where it has changed. */
  readonly order?: readonly unknown[];
  /** Without a key: positions and their new rows. */
  readonly at?: readonly (readonly [number, Row])[];
  /** Without a key: how many rows there are now. */
  readonly length?: number;
}

/** Rows that follow a live query. */
export interface LiveRows<Row> {
  /** The rows now; a new array after each change. */
  readonly rows: readonly Row[];
  /** Takes in a snapshot (the subscription's data) or a diff (a publication's), and gives the rows. */
  apply(message: LiveMessage<Row>): readonly Row[];
}

/**
 * The channel of a query in SQL, for clients who may ask for whatever they like.
 *
 * ```ts
 * import { sqlChannel } from "@plugboard/server/live_queries";
 *
 * const channel = sqlChannel("SELECT * FROM orders WHERE total > ?", [100]);
 * console.log(channel.startsWith("live:sql?")); // true
 * ```
 */
export function sqlChannel(
  sql: string,
  params: readonly (number | string | null)[] | Readonly<Record<string, number | string | null>> = [],
): string {
  return `live:sql?${new URLSearchParams({ sql, params: JSON.stringify(params) })}`;
}

/** Starts with no rows; the first message is the snapshot. */
export function liveRows<Row extends Record<string, unknown>>(): LiveRows<Row> {
  let key: readonly string[] | null = null;
  let rows: readonly Row[] = [];

  const keyOf = (row: Row) => {
    const values = key!.map((column) => row[column]);
    return JSON.stringify(values.length === 1 ? values[0] : values);
  };

  function applyByKey(message: LiveMessage<Row>): readonly Row[] {
    const byKey = new Map(rows.map((row) => [keyOf(row), row]));
    for (const gone of message.delete ?? []) byKey.delete(JSON.stringify(gone));
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
