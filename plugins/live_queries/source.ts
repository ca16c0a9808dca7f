/**
 * Sources: where queries are looked at and run.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { IsolatedReads } from "../persistence.ts";
import { planOf } from "./plan.ts";
import type { RemoteSource, Source } from "./query.ts";
import type { LiveStore, Schema } from "./schema.ts";
import { bound } from "./values.ts";

/** The server's own database. */
export function storeSource(store: LiveStore, schema: Schema, maxRows: number): Source {
  return {
    remote: false,
    plan: (definition) => planOf(definition, store.inspect(definition.sql), schema),
    read: (sql, params, { byPosition }) => store.all(sql, bound(params, byPosition), { maxRows }),
  };
}

/** The same database, read where a query can be stopped. */
export function isolatedSource(
  reads: Pick<IsolatedReads, "inspect" | "read">,
  schema: Schema,
  limits: { maxRows: number; maxMs: number },
): RemoteSource {
  return {
    remote: true,
    plan: async (definition) => planOf(definition, await reads.inspect(definition.sql, limits), schema),
    read: (sql, params, { byPosition }) => reads.read(sql, bound(params, byPosition), limits),
  };
}

/** A database that this server does not see: the results are told. */
export const told: Source = {
  remote: false,
  plan: () => ({ dependencies: [], key: null, byPosition: false }),
  read: () => [],
};

/** No database at all. */
export const nowhere: Source = {
  remote: false,
  plan() {
    throw new PlugboardError("not_available", "There is no database to query");
  },
  read: () => [],
};
