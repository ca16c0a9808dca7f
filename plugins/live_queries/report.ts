import { PlugboardError } from "../../core/mod.ts";
import type { InstanceInfo, QueryInfo } from "./activity.ts";
import type { LiveQueryEngine } from "./engine.ts";
import type { Query } from "./query.ts";
import { type LiveStore } from "./source.ts";

/** How many queries are described; there can be many that clients wrote. */
const MAX_QUERIES = 500;

/** How many instances are looked at for a page. */
const MAX_INSTANCES = 10_000;

/** Describes the queries, those with the longest time in all first. */
export function describeQueries({ catalog }: LiveQueryEngine): QueryInfo[] {
  const all = [...catalog.all()].sort((a, b) => b.activity.totalMs - a.activity.totalMs);
  return all.slice(0, MAX_QUERIES).map((
    { name, definition: { sql }, declared, plan, instances, activity },
  ) => ({
    ...activity,
    name,
    sql,
    declared,
    reads: (plan?.dependencies ?? []).map(({ table, columns }) => ({ table, columns: [...columns] })),
    instances: instances.size,
  }));
}

/** Describes instances of a query, the slowest first. */
export function describeInstances(engine: LiveQueryEngine, name: string, limit: number): InstanceInfo[] {
  const { instances } = queryOf(engine, name);
  return instances.values().take(MAX_INSTANCES).toArray().sort((a, b) => b.tookMs - a.tookMs).slice(0, limit)
    .map(
      ({ id, params, size, chars, tookMs, channels, activity }) => ({
        ...activity,
        id,
        params,
        rows: size,
        chars,
        tookMs,
        channels: [...channels],
      }),
    );
}

/** Returns how SQLite would run a query, a line for each step. */
export function explain(engine: LiveQueryEngine, store: LiveStore | undefined, name: string): string[] {
  const { definition: { sql } } = queryOf(engine, name);
  if (store === undefined) throw new PlugboardError("not_available", "There is no database");
  const steps = store.all<{ id: number; parent: number; detail: string }>(`EXPLAIN QUERY PLAN ${sql}`);
  const depth = new Map<number, number>();
  return steps.map(({ id, parent, detail }) => {
    const level = (depth.get(parent) ?? -1) + 1;
    depth.set(id, level);
    return "  ".repeat(level) + detail;
  });
}

function queryOf({ catalog }: LiveQueryEngine, name: string): Query {
  const found = catalog.find(name);
  if (found !== undefined) return found;
  throw new PlugboardError("not_found", `There is no live query ${JSON.stringify(name)} in use`);
}
