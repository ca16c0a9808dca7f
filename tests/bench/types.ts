/** The types of the bench: contenders, dialogues and measurements. */

import type { Load } from "./load/mod.ts";

/** The messages that clients exchange with a contender. */
export interface Dialogue {
  readonly path: string;
  /** Messages to send when the socket is open; `$i` is the connection's number. */
  readonly hello?: readonly string[];
  /** Text in the frame that makes the connection ready. @default {none: ready when the socket is open} */
  readonly ready?: string;
  /** The message that delivers `$payload`; `$n` is a counter. */
  readonly message: string;
  /** Whether the texts are bytes, a character each, in binary frames. @default {false} */
  readonly binary?: boolean;
  /** The ping frame of the protocol, and the reply. */
  readonly ping?: { readonly frame: string; readonly answer: string };
}

/** A server to measure. It prints `listening on PORT` when it is ready, unless its command contains `$port`. */
export interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  /** The working folder. */
  readonly cwd?: string;
  /** Whether it uses more than one core. Only the scenario `workers` measures it. @default {false} */
  readonly usesCores?: boolean;
  /** The dialogues it supports, by name: `fanout`, `echo` … */
  readonly speaks: Readonly<Record<string, Dialogue>>;
}

/** The figures of a measurement. A scenario has some of them. */
export interface Figures {
  /** Deliveries, replies or other counts per second. */
  readonly perSecond?: number;
  /** The server's CPU time for each, in microseconds. */
  readonly cpuMicros?: number;
  /** CPU time for each, in microseconds, of the thread that decides: the main thread of a server with workers. */
  readonly mainMicros?: number;
  /** Latencies in microseconds. */
  readonly p50?: number;
  readonly p99?: number;
  readonly p999?: number;
  /** The time until the content arrives at a client, in microseconds. Its own work on it is not included. */
  readonly arrived?: number;
  /** Memory per connection, in KiB. */
  readonly kilobytes?: number;
  /** The ratio to what it is compared with in the same run. */
  readonly times?: number;
  /** Bytes allocated per message. */
  readonly bytes?: number;
}

/** The name of a figure. */
export type FigureName = keyof Figures;

/** The figures of one run, with notes on their reliability. */
export interface Measurement {
  readonly figures: Figures;
  readonly notes: readonly string[];
}

/** A limit for a figure: absolute, or compared with another contender in the same round. */
export interface Budget {
  readonly contender: string;
  readonly against?: string;
  readonly figure: FigureName;
  readonly atMost?: number;
  readonly atLeast?: number;
  /** How much more than that of `against`, instead of a ratio. */
  readonly atMostMore?: number;
}

/** One thing to measure. */
export interface Case {
  readonly name: string;
  /** The figure of the ratios to bare Deno and Bun. */
  readonly figure: FigureName;
  readonly budgets: readonly Budget[];
  /** Returns whether this contender takes part. */
  admits(contender: Contender): boolean;
  /** Starts the contender and measures once. */
  run(contender: Contender, tools: Tools): Promise<Measurement>;
}

/** What a case needs. */
export interface Tools {
  readonly load: Load;
  /** The duration of a measurement. */
  readonly seconds: number;
}

/** A group of cases: a file in `scenarios/`. */
export interface Scenario {
  readonly name: string;
  readonly cases: readonly Case[];
}
