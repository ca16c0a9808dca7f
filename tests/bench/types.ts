/** What the bench is made of: contenders, what they are asked to do, and what is measured. */

import type { Load } from "./load/mod.ts";

/** How to talk to a contender about one thing. The same words for every connection, so they are data. */
export interface Dialogue {
  readonly path: string;
  /** Sent when the socket is open; `$i` is the connection's number. */
  readonly hello?: readonly string[];
  /** The connection counts as ready when a frame with this text came. @default {once the socket is open} */
  readonly ready?: string;
  /** What a client sends to have `$payload` delivered; `$n` is a number that counts up. */
  readonly message: string;
  /** The protocol's own ping, and what to answer. */
  readonly ping?: { readonly frame: string; readonly answer: string };
}

/** A server to be measured. It prints `listening on PORT` when it is ready. */
export interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  /** Where the command runs. */
  readonly cwd?: string;
  /** What it can be asked, by the name of the scenario's dialogue: `fanout`, `echo` … */
  readonly speaks: Readonly<Record<string, Dialogue>>;
}

/** What one measurement gives; each is optional, a scenario measures what it is about. */
export interface Figures {
  /** Deliveries, answers or whatever is counted, each second. */
  readonly perSecond?: number;
  /** The server's CPU time for each of those, in microseconds. */
  readonly cpuMicros?: number;
  /** Latencies in microseconds. */
  readonly p50?: number;
  readonly p99?: number;
  readonly p999?: number;
  /** Memory for each connection, in KiB. */
  readonly kilobytes?: number;
  /** How many times as much as what it is compared with, in the same run. */
  readonly times?: number;
  /** Bytes allocated for each message. */
  readonly bytes?: number;
}

/** The name of a figure. */
export type FigureName = keyof Figures;

/** One run's figures, and what to know before trusting them. */
export interface Measurement {
  readonly figures: Figures;
  readonly notes: readonly string[];
}

/** A promise about a figure: absolute, or as a ratio to another contender's in the same round. */
export interface Budget {
  readonly contender: string;
  readonly against?: string;
  readonly figure: FigureName;
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** One thing to measure. */
export interface Case {
  readonly name: string;
  /** The figure that the ratios to bare Deno and to Bun are about. */
  readonly figure: FigureName;
  readonly budgets: readonly Budget[];
  /** Whether this contender takes part. */
  admits(contender: Contender): boolean;
  /** Measures once; starts the contender itself. */
  run(contender: Contender, tools: Tools): Promise<Measurement>;
}

/** What a case works with. */
export interface Tools {
  readonly load: Load;
  /** How long to measure. */
  readonly seconds: number;
}

/** Cases that belong together: a file in `scenarios/`. */
export interface Scenario {
  readonly name: string;
  readonly cases: readonly Case[];
}
