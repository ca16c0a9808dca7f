/** Random schemas with writes and schema changes. The same seed gives the same values. */

import type { SqlValue } from "../../../plugins/live_queries.ts";
import { PlugboardError } from "../../../core/mod.ts";
import type { Transaction } from "../../../plugins/persistence.ts";

/** Seeded random numbers (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  /** True with a probability of 1/n. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Picks at least `least` values of a list, in its order. */
  some<T>(list: readonly T[], least: number): T[] {
    const count = least + this.below(list.length - least + 1);
    const chosen = new Set<T>();
    while (chosen.size < count) chosen.add(this.pick(list));
    return list.filter((each) => chosen.has(each));
  }
}

export interface Column {
  readonly name: string;
  readonly type: "INTEGER" | "TEXT" | "REAL" | "";
  readonly generated: boolean;
}

export interface Table {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
}

export interface View extends Table {
  /** The table that it selects from. */
  readonly of: Table;
}

export interface RandomSchema {
  readonly sql: string;
  readonly tables: readonly Table[];
  readonly views: readonly View[];
}

const TABLE_NAMES = ["orders", "Items", "end", "a b"];
const COLUMN_NAMES = ["a", "B", "end", "window", "c d", "left"];

export const quoted = (name: string): string => `"${name}"`;

/** Writes a name with or without quotes, in any case. */
export function written(name: string, dice: Dice): string {
  if (name.includes(" ") || dice.oneIn(3)) return dice.pick([quoted(name), `[${name}]`, `\`${name}\``]);
  return dice.oneIn(4) ? name.toUpperCase() : name;
}

export function randomSchema(dice: Dice): RandomSchema {
  const tables: Table[] = [];
  const sql: string[] = [];
  for (const name of dice.some(TABLE_NAMES, 1)) {
    const { table, declaration } = randomTable(name, tables, dice);
    tables.push(table);
    sql.push(declaration);
  }
  const views = dice.oneIn(2) ? [] : [randomView(dice.pick(tables), dice)];
  sql.push(...views.map((view) => viewSql(view, dice)));
  if (!dice.oneIn(3)) sql.push(...triggers(tables, dice));
  return { sql: sql.join(";\n"), tables, views };
}

function randomTable(
  name: string,
  others: readonly Table[],
  dice: Dice,
): { table: Table; declaration: string } {
  const kind = dice.pick([
    "integer",
    "integer",
    "text",
    "composite",
    "without rowid",
    "composite without rowid",
    "none",
  ]);
  const composite = kind.startsWith("composite");
  const columns: Column[] = [];
  const parts: string[] = [];
  const add = (column: Column, more: string) => {
    columns.push(column);
    parts.push(`${quoted(column.name)} ${column.type} ${more}`);
  };
  if (kind === "integer") add({ name: "id", type: "INTEGER", generated: false }, "PRIMARY KEY");
  if (kind === "text" || kind === "without rowid") {
    add({ name: "id", type: "TEXT", generated: false }, `${collation(dice)} PRIMARY KEY`);
  }
  if (composite) {
    const notNull = dice.oneIn(2) ? "NOT NULL" : "";
    add({ name: "id", type: dice.pick(["TEXT", "INTEGER", ""]), generated: false }, notNull);
    add({ name: "n", type: "INTEGER", generated: false }, notNull);
  }
  for (const column of dice.some(COLUMN_NAMES, 2)) {
    const type = dice.pick(["INTEGER", "TEXT", "TEXT", "REAL", ""] as const);
    add({ name: column, type, generated: false }, plainColumn(type, others, dice));
  }
  if (dice.oneIn(3)) {
    const from = dice.pick(columns.slice(-2));
    const expression = dice.pick([`${quoted(from.name)} || 'x'`, `coalesce(${quoted(from.name)}, 0) + 1`]);
    add(
      { name: "made", type: "", generated: true },
      `AS (${expression}) ${dice.pick(["VIRTUAL", "STORED"])}`,
    );
  }
  const key = kind === "none" ? [] : composite ? ["id", "n"] : ["id"];
  if (composite) parts.push(`PRIMARY KEY ("id", "n")`);
  const declaration = `CREATE TABLE ${quoted(name)} (${parts.join(", ")})${
    kind.endsWith("without rowid") ? " WITHOUT ROWID" : ""
  }`;
  return { table: { name, columns, key }, declaration };
}

function plainColumn(type: Column["type"], others: readonly Table[], dice: Dice): string {
  const parents = others.filter(({ key }) => key.length === 1);
  if (parents.length > 0 && dice.oneIn(3)) {
    const deleted = dice.pick(["CASCADE", "SET NULL", "RESTRICT"]);
    return `REFERENCES ${quoted(dice.pick(parents).name)} ("id") ON DELETE ${deleted} ON UPDATE CASCADE`;
  }
  const unique = dice.oneIn(8) ? dice.pick(["UNIQUE", "UNIQUE ON CONFLICT REPLACE"]) : "";
  return `${type === "TEXT" ? collation(dice) : ""} ${unique} ${dice.oneIn(6) ? "DEFAULT 1" : ""}`;
}

function collation(dice: Dice): string {
  return dice.pick(["", "", "COLLATE NOCASE", "COLLATE RTRIM"]);
}

function randomView(of: Table, dice: Dice): View {
  return { name: "seen", of, columns: dice.some(of.columns, 2), key: [] };
}

/** A definition of a view with a random condition. */
export function viewSql({ name, of, columns }: View, dice: Dice): string {
  const column = dice.pick(of.columns);
  const condition = dice.pick(["IS NOT NULL", `= ${literal(column, dice)}`, `<> ${literal(column, dice)}`]);
  return `CREATE VIEW ${quoted(name)} AS SELECT ${columns.map((each) => quoted(each.name)).join(", ")} ` +
    `FROM ${quoted(of.name)} WHERE ${quoted(column.name)} ${condition}`;
}

function triggers(tables: readonly Table[], dice: Dice): string[] {
  return Array.from({ length: 1 + dice.below(2) }, (_, i) => {
    const on = dice.pick(tables);
    const target = dice.pick(tables);
    const when = dice.pick(["INSERT", "UPDATE", "DELETE"]);
    const from = `${when === "DELETE" ? "old" : "new"}.${quoted(dice.pick(on.columns).name)}`;
    const column = dice.pick(stored(target));
    const work = dice.pick([
      `INSERT OR IGNORE INTO ${quoted(target.name)} (${quoted(column.name)}) VALUES (${from})`,
      `UPDATE OR IGNORE ${quoted(target.name)} SET ${quoted(column.name)} = ${literal(column, dice)} WHERE ${
        quoted(column.name)
      } = ${from}`,
      `DELETE FROM ${quoted(target.name)} WHERE ${quoted(column.name)} = ${from}`,
    ]);
    return `CREATE TRIGGER "on ${i}" AFTER ${when} ON ${quoted(on.name)} ` +
      `WHEN (SELECT count(*) FROM ${quoted(target.name)}) < 20 BEGIN ${work}; END`;
  });
}

export function stored({ columns }: Table): readonly Column[] {
  return columns.filter(({ generated }) => !generated);
}

const VALUES: Record<Column["type"], readonly SqlValue[]> = {
  INTEGER: [0, 1, 2, 3],
  TEXT: ["a", "A", "b", "b ", "1", "1.0"],
  REAL: [0.5, 1, 2, 1e300],
  "": [0, 1, "a", "1", 0.5],
};

/** Neighbors that are equal as numbers of JavaScript. */
const BIG: readonly SqlValue[] = [2n ** 53n + 1n, 2n ** 53n + 2n, -(2n ** 63n)];

/** A value for a column. There are few values, so that rows share them. */
export function valueFor({ type, name }: Column, dice: Dice): SqlValue {
  if (dice.oneIn(name === "id" || name === "n" ? 15 : 6)) return null;
  if (dice.oneIn(12)) return dice.pick(VALUES[""]);
  if (dice.oneIn(25)) return dice.pick(BIG);
  return dice.pick(VALUES[type]);
}

export function literal(column: Column, dice: Dice): string {
  const value = valueFor(column, dice);
  return typeof value === "string" ? `'${value}'` : String(value ?? "NULL");
}

/** Thrown to roll back a transaction. */
export class Undo extends Error {}

/** A random transaction. Some of its statements fail. */
export function randomWrite({ tables }: RandomSchema, dice: Dice): (tx: Transaction) => void {
  const statements = Array.from(
    { length: 1 + dice.below(4) },
    () => randomStatement(dice.pick(tables), dice),
  );
  const end = dice.pick(["commit", "commit", "commit", "roll back", "undo a part"]);
  return (tx) => {
    const perform = () => statements.forEach(({ sql, params }) => attempt(() => tx.run(sql, params)));
    if (end === "undo a part") {
      attempt(() =>
        tx.savepoint(() => {
          perform();
          throw new Undo();
        })
      );
    }
    perform();
    if (end === "roll back") throw new Undo();
  };
}

/** Ignores the errors of statements that the schema does not allow. */
function attempt(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    const expected = error instanceof Undo ||
      error instanceof PlugboardError &&
        ["constraint", "transaction_lost", "bad_sql", "sql_error"].includes(error.code);
    if (!expected) throw error;
  }
}

function randomStatement(table: Table, dice: Dice): { sql: string; params: SqlValue[] } {
  const name = quoted(table.name);
  const columns = stored(table);
  const conflict = dice.pick(["", "", "OR REPLACE", "OR IGNORE"]);
  const [set, where] = [dice.pick(columns), dice.pick(table.columns)];
  const condition = `${quoted(where.name)} ${dice.pick(["=", "=", "IS", ">", "<>"])} ?`;
  switch (dice.below(8)) {
    case 0:
      return {
        sql: `UPDATE ${conflict} ${name} SET ${quoted(set.name)} = ? WHERE ${condition}`,
        params: [valueFor(set, dice), valueFor(where, dice)],
      };
    case 1:
      return {
        sql: `UPDATE ${conflict} ${name} SET ${quoted(set.name)} = ${quoted(set.name)} || 'a'`,
        params: [],
      };
    case 2:
      return { sql: `UPDATE ${conflict} ${name} SET ${quoted(set.name)} = ?`, params: [valueFor(set, dice)] };
    case 3:
      return { sql: `DELETE FROM ${name} WHERE ${condition}`, params: [valueFor(where, dice)] };
    case 4:
      return dice.oneIn(3)
        ? { sql: `DELETE FROM ${name}`, params: [] }
        : insert(table, columns, "OR REPLACE", dice);
    default:
      return insert(table, columns, conflict, dice);
  }
}

function insert(table: Table, columns: readonly Column[], conflict: string, dice: Dice) {
  const into = dice.oneIn(4) ? columns.slice(0, 1 + dice.below(columns.length)) : columns;
  const key = table.key.map(quoted).join(", ");
  const [set] = into.slice(-1);
  const upsert = key !== "" && conflict === "" && dice.oneIn(2)
    ? ` ON CONFLICT (${key}) DO UPDATE SET ${quoted(set!.name)} = excluded.${quoted(set!.name)}`
    : "";
  return {
    sql:
      `INSERT ${conflict} INTO ${quoted(table.name)} (${into.map(({ name }) => quoted(name)).join(", ")}) ` +
      `VALUES (${into.map(() => "?").join(", ")})${upsert}`,
    params: into.map((column) => valueFor(column, dice)),
  };
}

/** Changes the schema in one or two transactions. With `breaks`, queries may end in between. */
export function randomDefinition(
  { tables, views }: RandomSchema,
  dice: Dice,
): { scripts: string[]; breaks: boolean } {
  const table = dice.pick(tables);
  const name = quoted(table.name);
  const n = dice.below(1_000_000);
  const column = quoted(dice.pick(table.columns).name);
  switch (dice.below(6)) {
    case 0:
      return { scripts: [`ALTER TABLE ${name} ADD COLUMN "more${n}" DEFAULT 'x'`], breaks: false };
    case 1:
      return { scripts: [`CREATE INDEX "by${n}" ON ${name} (${column})`], breaks: false };
    case 2:
      return {
        scripts: views.map((view) => `DROP VIEW ${quoted(view.name)}; ${viewSql(view, dice)}`),
        breaks: false,
      };
    case 3:
      return { scripts: triggers(tables, dice).map((sql) => sql.replace("on ", `on ${n} `)), breaks: false };
    case 4:
      return { scripts: [`DROP TRIGGER IF EXISTS "on 0"`], breaks: false };
    default:
      return {
        scripts: [
          `ALTER TABLE ${name} RENAME COLUMN ${column} TO "gone"`,
          `ALTER TABLE ${name} RENAME COLUMN "gone" TO ${column}`,
        ],
        breaks: true,
      };
  }
}
