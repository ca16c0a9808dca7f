/**
 * The methods that change rows of the app's tables, each by one statement with parameters.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Store, TableInfo } from "../persistence.ts";
import { quoted } from "../shared/sql_text.ts";
import { badRequest } from "./errors.ts";
import type { Schema } from "./schema.ts";
import { type Bound, boundKey, boundOf, orderOf } from "./table_keys.ts";
import { appTable } from "./table_rows.ts";
import { type Method, own } from "./types.ts";

/** Another permission than for reading, so that a key can look at the tables without changing them. */
const PERMISSION = "admin:rows";

const name = { type: "string", minLength: 1, description: "The name of the table" } as const satisfies Schema;
const key = {
  type: "array",
  items: {},
  description: "The key of the row, from `keys`",
} as const satisfies Schema;
const values = {
  type: "object",
  properties: {},
  additionalProperties: {},
  description: 'By column; {"integer":"…"} for large integers, {"base64":"…"} for blobs',
} as const satisfies Schema;

const CHANGED = { type: "object", properties: { changed: { type: "integer" } } } as const satisfies Schema;

/** Makes the methods. */
export function tableWrites(store: () => Pick<Store, "all" | "table" | "write">): Method[] {
  /** Runs a statement that must change one row. */
  async function change(sql: string, bound: readonly Bound[]): Promise<string> {
    try {
      await store().write((tx) => {
        const { changes } = tx.run(sql, bound.map(({ value }) => value));
        if (changes !== 1) throw new PlugboardError("not_found", "key: there is no such row any more");
      });
    } catch (error) {
      throw broken(error);
    }
    return '{"changed":1}';
  }

  function found(table: TableInfo, given: readonly unknown[]): { where: string; key: Bound[] } {
    const order = orderOf(store(), table);
    const key = boundKey(given, order.length, "key");
    return { key, where: order.map((column, i) => `${quoted(column)} IS ${key[i]!.sql}`).join(" AND ") };
  }

  return [
    own({
      name: "table/insert",
      summary: "Inserts a row; columns that are not given have their defaults",
      params: { type: "object", properties: { name, values }, required: ["name", "values"] },
      result: CHANGED,
      permission: PERMISSION,
      run({ name, values }) {
        const table = appTable(store(), name);
        const given = columnsOf(table, values);
        const into = quoted(table.name);
        if (given.length === 0) return change(`INSERT INTO ${into} DEFAULT VALUES`, []);
        const columns = given.map(([column]) => quoted(column));
        const bound = given.map(([, value]) => value);
        return change(`INSERT INTO ${into} (${columns}) VALUES (${bound.map(({ sql }) => sql)})`, bound);
      },
    }),

    own({
      name: "table/update",
      summary: "Changes columns of a row",
      params: { type: "object", properties: { name, key, values }, required: ["name", "key", "values"] },
      result: CHANGED,
      permission: PERMISSION,
      run({ name, key: givenKey, values }) {
        const table = appTable(store(), name);
        const given = columnsOf(table, values);
        if (given.length === 0) throw badRequest("values must have a column");
        const { where, key } = found(table, givenKey);
        const set = given.map(([column, { sql }]) => `${quoted(column)} = ${sql}`);
        const bound = [...given.map(([, value]) => value), ...key];
        return change(`UPDATE ${quoted(table.name)} SET ${set} WHERE ${where}`, bound);
      },
    }),

    own({
      name: "table/delete",
      summary: "Deletes a row",
      params: { type: "object", properties: { name, key }, required: ["name", "key"] },
      result: CHANGED,
      permission: PERMISSION,
      run({ name, key: givenKey }) {
        const table = appTable(store(), name);
        const { where, key } = found(table, givenKey);
        return change(`DELETE FROM ${quoted(table.name)} WHERE ${where}`, key);
      },
    }),
  ];
}

/** Checks the columns and the values. */
function columnsOf(table: TableInfo, values: Readonly<Record<string, unknown>>): [string, Bound][] {
  return Object.entries(values).map(([column, value]) => {
    if (!table.stored.includes(column)) {
      throw badRequest(`values: there is no column ${JSON.stringify(column)}`);
    }
    const bound = boundOf(value);
    if (bound === undefined) throw badRequest(`values: ${JSON.stringify(column)} has no value of SQLite`);
    return [column, bound];
  });
}

/** SQLite's messages about rows that break a rule of their table, and the same as sentences. */
const RULES: readonly (readonly [RegExp, (names: string) => string])[] = [
  [/^UNIQUE constraint failed: (.+)/s, (names) => `Another row has the same ${columnsIn(names)}`],
  [/^NOT NULL constraint failed: (.+)/s, (names) => `${columnsIn(names)} must have a value`],
  [/^CHECK constraint failed: (.+)/s, (rule) => `The row breaks a rule of the table: ${rule}`],
  [
    /^FOREIGN KEY constraint failed/,
    () => "The row refers to a row that does not exist, or another one refers to it",
  ],
  [/^cannot store \w+ value in (.+)/s, (column) => `The value has the wrong type for the ${column}`],
  [/^datatype mismatch/, () => "The number of the row must be an integer"],
];

/** Returns an error with a sentence where the row is wrong. A message of a trigger stays as it is. */
function broken(error: unknown): unknown {
  if (!(error instanceof PlugboardError) || !["constraint", "bad_sql"].includes(error.code)) return error;
  for (const [message, sentence] of RULES) {
    const found = message.exec(error.message);
    if (found !== null) return new PlugboardError("constraint", sentence(found[1] ?? ""), { cause: error });
  }
  return error;
}

/** `orders.id, orders.line` is `id and line`. */
function columnsIn(names: string): string {
  return names.split(", ").map((name) => name.slice(name.indexOf(".") + 1)).join(" and ");
}
