/** Random queries for random schemas. */

import type { Params, ParamType } from "../../../plugins/live_queries.ts";
import { type Column, type Dice, literal, type RandomSchema, type Table, written } from "./random_schema.ts";

export interface RandomQuery {
  readonly sql: string;
  readonly params: Record<string, ParamType>;
  /** Parameter values to run it with. */
  readonly choices: readonly Params[];
  /** Whether the order of its rows is defined. */
  readonly ordered: boolean;
}

/** Builds a query. */
class QueryBuilder {
  readonly params: Record<string, ParamType> = {};
  readonly dice: Dice;
  constructor(dice: Dice) {
    this.dice = dice;
  }

  /** A new parameter or a literal. */
  operand(column: Column): string {
    if (this.dice.oneIn(6)) return literal(column, this.dice);
    const name = `p${Object.keys(this.params).length}`;
    this.params[name] = column.type === "TEXT" || this.dice.oneIn(4) ? "string" : "number";
    return `${this.dice.pick([":", "@", "$"])}${name}`;
  }

  column(name: string, alias: string): string {
    return `${alias === "" ? "" : `${alias}.`}${written(name, this.dice)}`;
  }

  /** A random term. */
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

  /** A condition of several terms. */
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

  build(sql: string, columns: number): RandomQuery {
    const { dice, params } = this;
    const order = Array.from({ length: columns }, (_, i) => `${i + 1} COLLATE BINARY`).join(", ");
    const ordered = dice.oneIn(2);
    const limit = dice.oneIn(2) ? ` LIMIT ${1 + dice.below(3)}` : "";
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
  const builder = new QueryBuilder(dice);
  const table = dice.pick(tables);
  const other = dice.pick(tables);
  const source = written(table.name, dice);
  const shown = dice.some(table.columns, 1);
  const column = dice.pick(table.columns);
  const on = `x.${written(column.name, dice)} = y.${written(dice.pick(other.columns).name, dice)}`;
  switch (dice.below(views.length > 0 ? 14 : 12)) {
    case 0:
      return builder.build(`SELECT * FROM ${source}`, table.columns.length);
    case 1:
    case 2:
    case 3:
      return builder.build(
        `SELECT ${builder.list(shown)} FROM ${source} WHERE ${builder.condition(table)}`,
        shown.length,
      );
    case 4:
      return builder.build(
        `SELECT count(*) AS n, min(${
          builder.column(column.name, "")
        } COLLATE BINARY) AS m FROM main.${source} WHERE ${builder.condition(table)}`,
        2,
      );
    case 5: {
      const group = `${builder.column(column.name, "")} || ''`;
      return builder.build(
        `SELECT ${group} AS g, count(*) AS n FROM ${source} WHERE ${
          builder.condition(table)
        } GROUP BY 1 HAVING count(*) > 0`,
        2,
      );
    }
    case 6: {
      const join = dice.pick(["JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
      const [where, of] = dice.oneIn(3) ? ["x", table] as const : ["y", other] as const;
      const missing = `${builder.column(dice.pick(of.columns).name, where)} IS NULL`;
      const condition = dice.oneIn(2) ? missing : builder.condition(of, where);
      return builder.build(
        `SELECT ${builder.list(shown, "x")}, y.${written(other.columns[0]!.name, dice)} AS other ` +
          `FROM ${source} x ${join} ${written(other.name, dice)} AS y ON ${
            dice.pick([on, "1"])
          } WHERE ${condition}`,
        shown.length + 1,
      );
    }
    case 7:
      return builder.build(
        `SELECT ${builder.list(shown, "x")} FROM ${source} x, ${
          written(other.name, dice)
        } y WHERE ${on} AND ${builder.condition(other, "y")}`,
        shown.length,
      );
    case 8:
      return builder.build(
        `SELECT ${builder.list(shown)} FROM ${source} WHERE ${builder.term(table, "")} AND ${
          builder.column(column.name, "")
        } ` +
          `${dice.pick(["IN", "NOT IN"])} (SELECT ${written(other.columns[0]!.name, dice)} FROM ${
            written(other.name, dice)
          } WHERE ${builder.condition(other)})`,
        shown.length,
      );
    case 9:
      return builder.build(
        `WITH big AS (SELECT * FROM ${source} WHERE ${builder.term(table, "")}) ` +
          `SELECT ${builder.list(shown)} FROM big WHERE ${builder.condition(table)}`,
        shown.length,
      );
    case 10:
      return builder.build(
        `SELECT ${builder.column(column.name, "")} || '' AS v FROM ${source} WHERE ${
          builder.term(table, "")
        } ` +
          `${dice.pick(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])} SELECT ${
            written(other.columns[0]!.name, dice)
          } || '' FROM ${written(other.name, dice)} WHERE ${builder.term(other, "")}`,
        1,
      );
    case 11:
      return builder.build(
        `SELECT ${builder.column(column.name, "")} AS v, count(*) OVER (PARTITION BY ${
          builder.column(dice.pick(table.columns).name, "")
        }) AS n, exists(SELECT 1 FROM ${written(other.name, dice)} WHERE ${builder.term(other, "")}) AS e ` +
          `FROM ${source} WHERE ${builder.condition(table)}`,
        3,
      );
    case 12: {
      const [view] = views;
      return builder.build(
        `SELECT ${builder.list(view!.columns)} FROM seen WHERE ${builder.condition(view!)}`,
        view!.columns.length,
      );
    }
    default: {
      const [view] = views;
      const { of } = view!;
      const match = `x.${written(dice.pick(of.columns).name, dice)} = y.${
        written(view!.columns[0]!.name, dice)
      }`;
      return builder.build(
        `SELECT x.${written(of.columns[0]!.name, dice)} AS a, y.${
          written(view!.columns[0]!.name, dice)
        } AS b ` +
          `FROM ${written(of.name, dice)} x ${dice.pick(["JOIN", "LEFT JOIN"])} seen AS y ON ${
            dice.pick([match, "1"])
          } WHERE ${builder.condition(of, "x")}`,
        2,
      );
    }
  }
}
