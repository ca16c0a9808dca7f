/**
 * The methods that show how the server is doing: figures, limits, and the log.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Cluster } from "../channels.ts";
import type { Logging } from "../logging.ts";
import type { Figures, Stats } from "../stats.ts";
import { json } from "./fields.ts";
import { askNodes } from "./nodes.ts";
import type { Schema } from "./schema.ts";
import { type Method, own } from "./types.ts";

/** What the methods need. A service that is absent is not available. */
export interface WatchingParts {
  readonly cluster: Cluster;
  readonly stats: Pick<Stats, "summary" | "metrics"> | undefined;
  readonly log: Pick<Logging, "recent"> | undefined;
  /** Sentences about what is wrong at the moment. */
  problems(): readonly string[];
}

const METRICS = "admin:metrics";

const NUMBERS = { type: "array", items: { type: "number" } } as const satisfies Schema;
const TEXTS = { type: "array", items: { type: "string" } } as const satisfies Schema;

/** Makes the methods. */
export function watchingMethods({ cluster, stats, log, problems }: WatchingParts): Method[] {
  const available = () => {
    if (stats !== undefined) return stats;
    throw new PlugboardError("not_available", "There are no statistics");
  };
  /** Values of a counter with one label, those above zero, the largest first. */
  const counted = (name: string) =>
    available().metrics.values(name).filter(([, total]) => total > 0).sort(([, a], [, b]) => b - a)
      .map(([[what], total]) => ({ what, total }));

  return [
    own({
      name: "stats",
      summary: "Returns totals and rates",
      params: { type: "object", properties: {} },
      result: {
        type: "object",
        properties: {
          totals: json("By metric"),
          rates: json("Per second"),
          publishLatencyMs: json("Quantiles"),
        },
      },
      permission: METRICS,
      run: () => JSON.stringify(available().summary()),
    }),

    own({
      name: "figures",
      summary: "Returns what charts show of the last ten minutes, by node and second",
      params: {
        type: "object",
        properties: {
          after: {
            type: "integer",
            minimum: 0,
            description: "Only seconds after this time, in milliseconds since 1970",
          },
        },
      },
      result: {
        type: "object",
        properties: {
          nodes: {
            type: "array",
            items: {
              type: "object",
              properties: {
                node: { type: "string" },
                columns: { ...TEXTS, description: "The names of the figures" },
                rows: { type: "array", items: NUMBERS, description: "The oldest first" },
              },
            },
          },
        },
      },
      permission: METRICS,
      async run({ after = 0 }) {
        available();
        const answers = await askNodes<readonly Figures[]>(cluster, "figures", { after });
        const nodes = answers.map(({ node, answer }) => {
          const columns = Object.keys(answer[0] ?? {}) as (keyof Figures)[];
          return { node, columns, rows: answer.map((each) => columns.map((name) => each[name])) };
        });
        return JSON.stringify({ nodes });
      },
    }),

    own({
      name: "health",
      summary: "Tells what is wrong with this node, and what it has refused since its start",
      params: { type: "object", properties: {} },
      result: {
        type: "object",
        properties: {
          node: { type: "string" },
          problems: TEXTS,
          limited: json("Because of which limit, how often"),
          refused: json("HTTP requests, by status"),
          signed_in: json("Checked credentials, by result"),
          recovered: json("Recoveries of clients, by result"),
        },
      },
      permission: METRICS,
      run: () =>
        JSON.stringify({
          node: cluster.node,
          problems: problems(),
          limited: counted("plugboard_rate_limited_total"),
          refused: counted("plugboard_refusals_total"),
          signed_in: counted("plugboard_sign_ins_total"),
          recovered: counted("plugboard_recoveries_total"),
        }),
    }),

    own({
      name: "log",
      summary: "Returns the latest warnings and errors of this node, without secrets, the oldest first",
      params: {
        type: "object",
        properties: { after: { type: "integer", minimum: 0, description: "Only those after this `id`" } },
      },
      result: {
        type: "object",
        properties: { records: { type: "array", items: { type: "object" } } },
      },
      permission: "admin:log",
      run({ after = 0 }) {
        if (log === undefined) throw new PlugboardError("not_available", "The log is not kept");
        return JSON.stringify({ records: log.recent().filter(({ id }) => id > after) });
      },
    }),
  ];
}
