/**
 * What the kernel and the plugins have to say. Where it goes is decided by the plugins that have a `log` hook;
 * without any, warnings and errors go to the console.
 *
 * @module
 */

import { messageOf } from "./errors.ts";
import type { AnyPlugin } from "./plugin.ts";

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

/** Everybody with a `log` hook hears every line; a failing one is passed over, there is nowhere to tell it. */
export function sinkOf(plugins: readonly AnyPlugin[]): LogSink {
  const takers = plugins.filter((plugin) => plugin.log !== undefined);
  if (takers.length === 0) return consoleSink;
  return (record) => {
    for (const plugin of takers) {
      const failed = (error: unknown) =>
        consoleSink({
          level: "error",
          plugin: plugin.name,
          message: "log failed",
          fields: { hook: "log", error },
        });
      try {
        const returned: unknown = plugin.log!(record);
        if (returned instanceof Promise) returned.catch(failed);
      } catch (error) {
        failed(error);
      }
    }
  };
}
