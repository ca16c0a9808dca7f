/**
 * Logs of the kernel and the plugins. Plugins with a `log` hook write them. Without one, warnings and errors go to the
 * console.
 *
 * @module
 */

import { messageOf } from "./errors.ts";

/** The severity of a record. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** A log record. */
export interface LogRecord {
  /** The severity. */
  readonly level: LogLevel;
  /** The plugin's name, or `kernel`. */
  readonly plugin: string;
  /** The message. */
  readonly message: string;
  /** Structured data. Must not contain secrets. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The log of one plugin. Records carry the plugin's name. */
export type Log = Readonly<Record<LogLevel, (message: string, fields?: Record<string, unknown>) => void>>;

/** Receives all records. */
export type LogSink = (record: LogRecord) => void;

/** Returns the log of a plugin. */
export function logFor(plugin: string, sink: LogSink): Log {
  const at = (level: LogLevel) => (message: string, fields: Record<string, unknown> = {}) =>
    sink({ level, plugin, message, fields });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Writes warnings and errors to the console. Used without a plugin that has a `log` hook. */
export const consoleSink: LogSink = ({ level, plugin, message, fields }) => {
  if (level !== "warn" && level !== "error") return;
  const { error } = fields;
  // deno-lint-ignore no-console -- the last resort
  console.error(`[${plugin}] ${message}${error === undefined ? "" : `: ${messageOf(error)}`}`);
};
