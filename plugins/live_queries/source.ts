/**
 * Sources: databases that queries are planned and run in.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { IsolatedReads, Store } from "../persistence.ts";
import type { AnyQuery } from "./definition.ts";
import { type Plan, planOf, type Tables } from "./plan.ts";
import type { Row } from "./result.ts";
import { type Arguments, bound } from "./values.ts";

/** The part of the store that live queries use. */
export type LiveStore = Pick<Store, "all" | "inspect" | "table" | "watch" | "inTransaction">;

/** Runs queries in this thread, in a committed state. */
export interface Source {
  readonly isolated: false;
  /** Throws a sentence if the query is wrong. */
  plan(definition: AnyQuery): Plan;
  /** Returns the rows, with integers of any form. `before` is how many there were at the last time. */
  read(sql: string, params: Arguments, plan: Plan, before?: number): readonly Row[];
}

/** Runs queries in a worker or another process, where they can be stopped. */
export interface IsolatedSource {
  readonly isolated: true;
  plan(definition: AnyQuery, user: string): Promise<Plan>;
  /** Users take turns. A `patient` read waits for its turn as long as it takes. */
  read(
    sql: string,
    params: Arguments,
    plan: Plan,
    how: { readonly user: string; readonly patient: boolean },
  ): Promise<readonly Row[]>;
}

/** The server's own database. */
export function storeSource(store: LiveStore, maxRows: number): Source {
  return {
    isolated: false,
    plan: (definition) => planOf(definition, store.inspect(definition.sql), store),
    read(sql, params, { byPosition }, before = Infinity) {
      // A commit seldom doubles a result.
      const atOnce = before <= maxRows / 2;
      return store.all(sql, bound(params, byPosition), { maxRows, atOnce, bigints: true });
    },
  };
}

/** The same database through isolated reads. */
export function isolatedSource(
  reads: Pick<IsolatedReads, "inspect" | "read">,
  tables: Tables,
  limits: { maxRows: number; maxMs: number },
): IsolatedSource {
  return {
    isolated: true,
    plan: async (definition, user) =>
      planOf(definition, await reads.inspect(definition.sql, { ...limits, user }), tables),
    read: (sql, params, { byPosition }, how) =>
      reads.read(sql, bound(params, byPosition), { ...limits, ...how }),
  };
}

/** A database that this server cannot read. The app passes in the results. */
export const externalSource: Source = {
  isolated: false,
  plan: () => ({ dependencies: [], key: null, byPosition: false }),
  read: () => [],
};

/** No database. */
export const noSource: Source = {
  isolated: false,
  plan() {
    throw new PlugboardError("not_available", "There is no database to query");
  },
  read: () => [],
};
