import type { Logger, LogLevel, LogRecord, TextFormatter } from "@logtape/logtape";
import { jsonLines, prettyLines } from "./lines.ts";

/** Writes records. */
export interface Output {
  /** Returns whether records of this plugin and level are written. */
  isEnabled(plugin: string, level: LogLevel): boolean;
  /** Writes a record. */
  write(record: LogRecord): void;
}

/** Writes each record as a line of text. */
export function lineOutput(format: "auto" | "pretty" | "json", write: (line: string) => void): Output {
  let formatter: TextFormatter | undefined;
  const chosen = () => {
    const pretty = format === "pretty" || (format === "auto" && Deno.stdout.isTerminal());
    return pretty ? prettyLines(!Deno.noColor) : jsonLines;
  };
  return {
    isEnabled: () => true,
    write: (record) => write((formatter ??= chosen())(record).trimEnd()),
  };
}

/** Passes each record to a child of `logger` with the name of the plugin. */
export function loggerOutput(logger: Logger): Output {
  return {
    isEnabled: (plugin, level) => logger.getChild(plugin).isEnabledFor(level),
    write({ category: [plugin = ""], ...record }) {
      logger.getChild(plugin).emit(record); // adds the category, which begins with that of the application
    },
  };
}
