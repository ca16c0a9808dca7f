/**
 * The methods that show how the server is doing: figures, limits, and the log.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Cluster } from "../channels.ts";
import type { Logging } from "../logging.ts";
import type { Figures, Stats } from "../stats.ts";
import type { Recorder } from "../trace.ts";
import { json } from "./fields.ts";
import { hearNodes } from "./asking.ts";
import type { Schema } from "./schema.ts";
import { type Method, own } from "./types.ts";

/** What the methods need. A service that is absent is not available. */
export interface WatchingParts {
  readonly cluster: Cluster;
  readonly stats: Pick<Stats, "summary" | "metrics"> | undefined;
  readonly log: Pick<Logging, "recent"> | undefined;
  readonly recorder: Recorder | undefined;
  /** The options in force, as lines without secrets. */
  readonly settings: (() => readonly string[]) | undefined;
  /** Sentences about what is wrong at the moment. */
  problems(): readonly string[];
}

const METRICS = "admin:metrics";

const NUMBERS = { type: "array", items: { type: "number" } } as const satisfies Schema;
const TEXTS = { type: "array", items: { type: "string" } } as const satisfies Schema;

const TRACE = "admin:trace";

const RECORDING = {
  type: "object",
  properties: {
    running: { type: "boolean" },
    until: {
      type: "integer",
      description: "When it ends by itself, in milliseconds since 1970; absent if it does not",
    },
    bytes: { type: "integer", description: "On disk" },
    maxBytes: { type: "integer" },
  },
} as const satisfies Schema;

/** Makes the methods. */
export function watchingMethods(
  { cluster, stats, log, recorder, settings, problems }: WatchingParts,
): Method[] {
  const available = () => {
    if (stats !== undefined) return stats;
    throw new PlugboardError("not_available", "There are no statistics");
  };
  const recording = () => {
    if (recorder !== undefined) return recorder;
    throw new PlugboardError("not_available", "There is no flight recorder");
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
          silent: { ...TEXTS, description: "Nodes that did not answer" },
        },
      },
      permission: METRICS,
      async run({ after = 0 }) {
        available();
        const { answers, silent } = await hearNodes<readonly Figures[]>(cluster, "figures", { after });
        const nodes = answers.map(({ node, answer }) => {
          const columns = Object.keys(answer[0] ?? {}) as (keyof Figures)[];
          return { node, columns, rows: answer.map((each) => columns.map((name) => each[name])) };
        });
        return JSON.stringify({ nodes, ...(silent.length > 0 && { silent }) });
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

    own({
      name: "settings",
      summary: "Returns the options in force and where they come from, without secrets",
      params: { type: "object", properties: {} },
      result: { type: "object", properties: { settings: TEXTS } },
      permission: "admin:settings",
      run() {
        if (settings === undefined) throw new PlugboardError("not_available", "The options are not known");
        return JSON.stringify({ settings: settings() });
      },
    }),

    own({
      name: "recorder",
      summary: "Tells what the flight recorder does. `GET /api/trace/recording` returns what it has recorded",
      params: { type: "object", properties: {} },
      result: RECORDING,
      permission: TRACE,
      run: () => JSON.stringify(recording().status()),
    }),

    own({
      name: "recorder/start",
      summary: "Records all events of this node on disk, within a bound; each message costs more meanwhile",
      params: {
        type: "object",
        properties: {
          seconds: {
            type: "integer",
            minimum: 1,
            maximum: 86_400,
            description: "For how long, by default 600",
          },
        },
      },
      result: RECORDING,
      permission: TRACE,
      run({ seconds = 600 }) {
        recording().start(seconds * 1_000);
        return JSON.stringify(recording().status());
      },
    }),

    own({
      name: "recorder/stop",
      summary: "Ends the recording; what was recorded stays",
      params: { type: "object", properties: {} },
      result: RECORDING,
      permission: TRACE,
      run() {
        recording().stop();
        return JSON.stringify(recording().status());
      },
    }),
  ];
}
