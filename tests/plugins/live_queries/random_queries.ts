/** Random queries for random schemas, of growing kind. */

import type { Params, ParamType } from "../../../plugins/live_queries.ts";
import { type Column, type Dice, literal, type RandomSchema, type Table, written } from "./random_schema.ts";

export interface RandomQuery {
  readonly sql: string;
  readonly params: Record<string, ParamType>;
  /** Values it is asked with. */
  readonly choices: readonly Params[];
  /** Whether its rows have one order only. */
  readonly ordered: boolean;
}

/** A query in the making. */
class Making {
  readonly params: Record<string, ParamType> = {};
  readonly dice: Dice;
  constructor(dice: Dice) {
    this.dice = dice;
  }

  /** A new parameter, or a value in its place. */
  operand(column: Column): string {
    if (this.dice.once(6)) return literal(column, this.dice);
    const name = `p${Object.keys(this.params).length}`;
    this.params[name] = column.type === "TEXT" || this.dice.once(4) ? "string" : "number";
    return `${this.dice.pick([":", "@", "$"])}${name}`;
  }

  column(name: string, alias: string): string {
    return `${alias === "" ? "" : `${alias}.`}${written(name, this.dice)}`;
  }

  /** Something a row must meet. */
  term({ columns }: Table, alias: string): string {
    const { dice } = this;
    const column = dice.pick(columns);
    const name = this.column(column.name, alias);
    const operand = () => this.operand(column);
    switch (dice.below(14)) {
      case 0:
        return `${name} IS ${operand()}`;
      case 1:
        return `${name} IN (${operand()}, ${operand()})`;
      case 2:
        return `${operand()} = ${name}`;
      case 3:
        return `${name} <> ${operand()}`;
      case 4:
        return `${name} > ${operand()}`;
      case 5:
        return `${name} IS NOT DISTINCT FROM ${operand()}`;
      case 6:
        return `${name} BETWEEN ${operand()} AND ${operand()}`;
      case 7:
        return `CASE WHEN ${name} = ${operand()} AND 1 THEN 1 ELSE 0 END`;
      case 8:
        return `NOT ${name} = ${operand()}`;
      case 9:
        return `${name} IS NULL`;
      default:
        return `${name} ${dice.pick(["=", "=="])} ${operand()}`;
    }
  }

  /** Terms, put together. */
  condition(table: Table, alias = ""): string {
    const { dice } = this;
    const shapes = [
      "t",
      "t",
      "t AND t",
      "t AND t",
      "t AND t AND t",
      "t OR t",
      "t AND (t OR t)",
      "t AND t OR t",
    ];
    return dice.pick(shapes).replaceAll("t", () => this.term(table, alias));
  }

  list(columns: readonly Column[], alias = ""): string {
    return columns.map(({ name }) => this.column(name, alias)).join(", ");
  }

  done(sql: string, columns: number): RandomQuery {
    const { dice, params } = this;
    const order = Array.from({ length: columns }, (_, i) => `${i + 1} COLLATE BINARY`).join(", ");
    const ordered = dice.once(2);
    const limit = dice.once(2) ? ` LIMIT ${1 + dice.below(3)}` : "";
    const choices = Array.from({ length: 3 }, () =>
      Object.fromEntries(
        Object.entries(params).map(([name, type]) => [
          name,
          type === "number" ? dice.pick([0, 1, 2, 0.5]) : dice.pick(["a", "A", "b", "1", ""]),
        ]),
      ));
    return { sql: ordered ? `${sql} ORDER BY ${order}${limit}` : sql, params, choices, ordered };
  }
}

/** A random query. */
export function randomQuery({ tables, views }: RandomSchema, dice: Dice): RandomQuery {
  const making = new Making(dice);
  const table = dice.pick(tables);
  const other = dice.pick(tables);
  const source = written(table.name, dice);
  const shown = dice.some(table.columns, 1);
  const column = dice.pick(table.columns);
  const on = `x.${written(column.name, dice)} = y.${written(dice.pick(other.columns).name, dice)}`;
  switch (dice.below(views.length > 0 ? 14 : 12)) {
    case 0:
      return making.done(`SELECT * FROM ${source}`, table.columns.length);
    case 1:
    case 2:
    case 3:
      return making.done(
        `SELECT ${making.list(shown)} FROM ${source} WHERE ${making.condition(table)}`,
        shown.length,
      );
    case 4:
      return making.done(
        `SELECT count(*) AS n, min(${
          making.column(column.name, "")
        } COLLATE BINARY) AS m FROM main.${source} WHERE ${making.condition(table)}`,
        2,
      );
    case 5: {
      const group = `${making.column(column.name, "")} || ''`;
      return making.done(
        `SELECT ${group} AS g, count(*) AS n FROM ${source} WHERE ${
          making.condition(table)
        } GROUP BY 1 HAVING count(*) > 0`,
        2,
      );
    }
    case 6: {
      const join = dice.pick(["JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
      const [where, of] = dice.once(3) ? ["x", table] as const : ["y", other] as const;
      const missing = `${making.column(dice.pick(of.columns).name, where)} IS NULL`;
      const condition = dice.once(2) ? missing : making.condition(of, where);
      return making.done(
        `SELECT ${making.list(shown, "x")}, y.${written(other.columns[0]!.name, dice)} AS other ` +
          `FROM ${source} x ${join} ${written(other.name, dice)} AS y ON ${
            dice.pick([on, "1"])
          } WHERE ${condition}`,
        shown.length + 1,
      );
    }
    case 7:
      return making.done(
        `SELECT ${making.list(shown, "x")} FROM ${source} x, ${written(other.name, dice)} y WHERE ${on} AND ${
          making.condition(other, "y")
        }`,
        shown.length,
      );
    case 8:
      return making.done(
        `SELECT ${making.list(shown)} FROM ${source} WHERE ${making.term(table, "")} AND ${
          making.column(column.name, "")
        } ` +
          `${dice.pick(["IN", "NOT IN"])} (SELECT ${written(other.columns[0]!.name, dice)} FROM ${
            written(other.name, dice)
          } WHERE ${making.condition(other)})`,
        shown.length,
      );
    case 9:
      return making.done(
        `WITH big AS (SELECT * FROM ${source} WHERE ${making.term(table, "")}) ` +
          `SELECT ${making.list(shown)} FROM big WHERE ${making.condition(table)}`,
        shown.length,
      );
    case 10:
      return making.done(
        `SELECT ${making.column(column.name, "")} || '' AS v FROM ${source} WHERE ${
          making.term(table, "")
        } ` +
          `${dice.pick(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])} SELECT ${
            written(other.columns[0]!.name, dice)
          } || '' FROM ${written(other.name, dice)} WHERE ${making.term(other, "")}`,
        1,
      );
    case 11:
      return making.done(
        `SELECT ${making.column(column.name, "")} AS v, count(*) OVER (PARTITION BY ${
          making.column(dice.pick(table.columns).name, "")
        }) AS n, exists(SELECT 1 FROM ${written(other.name, dice)} WHERE ${making.term(other, "")}) AS e ` +
          `FROM ${source} WHERE ${making.condition(table)}`,
        3,
      );
    case 12: {
      const [view] = views;
      return making.done(
        `SELECT ${making.list(view!.columns)} FROM seen WHERE ${making.condition(view!)}`,
        view!.columns.length,
      );
    }
    default: {
      const [view] = views;
      const { of } = view!;
      const match = `x.${written(dice.pick(of.columns).name, dice)} = y.${
        written(view!.columns[0]!.name, dice)
      }`;
      return making.done(
        `SELECT x.${written(of.columns[0]!.name, dice)} AS a, y.${
          written(view!.columns[0]!.name, dice)
        } AS b ` +
          `FROM ${written(of.name, dice)} x ${dice.pick(["JOIN", "LEFT JOIN"])} seen AS y ON ${
            dice.pick([match, "1"])
          } WHERE ${making.condition(of, "x")}`,
        2,
      );
    }
  }
}
