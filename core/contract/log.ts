/**
 * What the kernel and the plugins have to say. Where it goes is decided by the plugins that have a `log` hook;
 * without any, warnings and errors go to the console.
 *
 * @module
 */

import { messageOf } from "./errors.ts";

/** How much a line matters. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** One line of the log. */
export interface LogRecord {
  /** How much it matters. */
  readonly level: LogLevel;
  /** Who says it: the plugin's name, or `kernel`. */
  readonly plugin: string;
  /** What there is to say. */
  readonly message: string;
  /** Anything worth keeping beside the sentence. Secrets do not belong here. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A plugin's own log: every line carries the plugin's name. */
export type Log = Readonly<Record<LogLevel, (message: string, fields?: Record<string, unknown>) => void>>;

/** Receives every line. */
export type LogSink = (record: LogRecord) => void;

/** A log that speaks in the name of `plugin`. */
export function logFor(plugin: string, sink: LogSink): Log {
  const at = (level: LogLevel) => (message: string, fields: Record<string, unknown> = {}) =>
    sink({ level, plugin, message, fields });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Where warnings and errors go when no plugin takes the log. */
export const consoleSink: LogSink = ({ level, plugin, message, fields }) => {
  if (level !== "warn" && level !== "error") return;
  const { error } = fields;
  // deno-lint-ignore no-console -- the last resort: nobody else listens
  console.error(`[${plugin}] ${message}${error === undefined ? "" : `: ${messageOf(error)}`}`);
};
