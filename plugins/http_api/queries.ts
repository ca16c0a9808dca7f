/**
 * The methods for live queries.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Channels } from "../channels.ts";
import type { LiveQueries } from "../live_queries.ts";
import { badRequest } from "./errors.ts";
import { type Method, own } from "./types.ts";

/** What the methods work with. */
export interface QueryParts {
  readonly queries: Pick<LiveQueries, "read" | "describe" | "instances" | "explain"> | undefined;
  readonly channels: Pick<Channels, "localStats">;
}

const DATABASE = "admin:database";

const name = { type: "string", minLength: 1, description: "The name of the query" } as const;

/** Makes the methods. */
export function queryMethods({ queries, channels }: QueryParts): Method[] {
  const available = () => {
    if (queries !== undefined) return queries;
    throw new PlugboardError("not_available", "There are no live queries");
  };
  const listeners = (all: readonly string[]) =>
    all.reduce((sum, channel) => {
      const [found] = channels.localStats(channel);
      return sum + (found?.subscribers ?? 0) + (found?.callbacks ?? 0);
    }, 0);

  return [
    own({
      name: "query",
      summary: "Runs a declared live query once",
      params: {
        type: "object",
        properties: {
          name,
          params: { type: "object", description: "Its parameters by name: strings, numbers, true or false" },
        },
        required: ["name"],
      },
      result: {
        type: "object",
        properties: {
          key: { description: "The columns that identify a row; null without a key" },
          rows: { type: "array", items: { type: "object" } },
        },
      },
      permission: "read:live:{name}",
      run({ name, params = {} }, { identity }) {
        const values = Object.entries(params as Record<string, unknown>).map(([param, value]) => {
          if (typeof value === "object") {
            throw badRequest(`params.${param} must be a string, a number, true or false`);
          }
          return [param, String(value)];
        });
        // An operator may read the rows of any user.
        const reader = identity.can("admin", "database") ? undefined : identity;
        return available().read(name, Object.fromEntries(values), reader).text;
      },
    }),

    own({
      name: "queries",
      summary:
        "Describes the live queries of this node: what they read, how often writes woke them, and how long they took",
      params: { type: "object", properties: {} },
      result: { type: "object", properties: { queries: { type: "array", items: { type: "object" } } } },
      permission: DATABASE,
      run: () => JSON.stringify({ queries: available().describe() }),
    }),

    own({
      name: "queries/instances",
      summary: "Describes a live query with each of its parameters, the slowest first",
      params: {
        type: "object",
        properties: {
          name,
          limit: {
            type: "integer",
            minimum: 1,
            maximum: 1_000,
            description: "The maximum number, by default 100",
          },
        },
        required: ["name"],
      },
      result: { type: "object", properties: { instances: { type: "array", items: { type: "object" } } } },
      permission: DATABASE,
      run({ name, limit = 100 }) {
        const instances = available().instances(name, limit).map((each) => {
          return { ...each, listeners: listeners(each.channels) };
        });
        // Integers of SQLite can be larger than numbers of JSON.
        return JSON.stringify({ instances }, (_, value) => typeof value === "bigint" ? String(value) : value);
      },
    }),

    own({
      name: "queries/explain",
      summary: "Tells how SQLite runs a live query",
      params: { type: "object", properties: { name }, required: ["name"] },
      result: { type: "object", properties: { plan: { type: "array", items: { type: "string" } } } },
      permission: DATABASE,
      run: ({ name }) => JSON.stringify({ plan: available().explain(name) }),
    }),
  ];
}
