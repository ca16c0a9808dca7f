/**
 * Where the log goes: lines of text, or a logger of the application's own.
 *
 * @module
 */

import type { Logger, LogLevel, LogRecord, TextFormatter } from "@logtape/logtape";
import { jsonLines, prettyLines } from "./lines.ts";

/** Takes records that are ready to be shown. */
export interface Output {
  /** Whether a record of this plugin and level would be shown at all. */
  wants(plugin: string, level: LogLevel): boolean;
  /** Shows it. */
  take(record: LogRecord): void;
}

/** Writes each record as text, which looks as `format` says. */
export function lineOutput(format: "auto" | "pretty" | "json", write: (line: string) => void): Output {
  let formatter: TextFormatter | undefined;
  const chosen = () => {
    const pretty = format === "pretty" || (format === "auto" && Deno.stdout.isTerminal());
    return pretty ? prettyLines(!Deno.noColor) : jsonLines;
  };
  return {
    wants: () => true,
    take: (record) => write((formatter ??= chosen())(record).trimEnd()),
  };
}

/** Hands each record to a child of `logger` that is called like the plugin. */
export function loggerOutput(logger: Logger): Output {
  const children = new Map<string, Logger>();
  const childFor = (plugin: string) => {
    let child = children.get(plugin);
    if (child === undefined) children.set(plugin, child = logger.getChild(plugin));
    return child;
  };
  return {
    wants: (plugin, level) => childFor(plugin).isEnabledFor(level),
    take({ category: [plugin = ""], ...record }) {
      childFor(plugin).emit(record); // which completes the category: it begins with the application's own
    },
  };
}
