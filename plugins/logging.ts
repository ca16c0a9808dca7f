/**
 * Logging: writes the log of the kernel and the plugins, formatted on a terminal and as JSON lines elsewhere.
 *
 * Each line names its plugin. Secrets are redacted by the name of a field (`token`, `password`, `cookie` …) and by
 * their form within a text (`?token=…`, `Bearer …`, JSON Web Tokens, private keys). Long fields are shortened.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { logging } from "@plugboard/server/logging";
 *
 * const server = new Server({ port: 0 });
 * server.use(logging({ level: "warn" }));
 * ```
 *
 * @module
 */

import { getThrottlingFilter, type Logger, type LogRecord as LogTapeRecord } from "@logtape/logtape";
import { built, checkOptions, type LogLevel, type Plugin, systemClock } from "../core/mod.ts";
import { lineOutput, loggerOutput } from "./logging/output.ts";
import { PlainWriter } from "./shared/plain.ts";

/** Options of {@linkcode logging}. */
export interface LoggingOptions {
  /** The lowest level that is written. @default {"info"}, with a `logger` {"debug"} */
  level?: LogLevel;
  /** The format of a line; `auto` is `pretty` on a terminal and `json` elsewhere. @default {"auto"} */
  format?: "auto" | "pretty" | "json";
  /** Writes a line, given without its line break. @default {console.log} */
  write?: (line: string) => void;
  /**
   * A LogTape logger to use instead. Each plugin logs to a child of it, and the application's configuration decides
   * what is written and how. Without it, LogTape's process-wide configuration is neither read nor changed.
   */
  logger?: Logger;
  /**
   * Maximum lines per second with the same plugin, level and message; further ones are counted. A client that makes
   * a handler fail cannot fill the disk. Does not apply to `debug`. @default {50}
   */
  maxRepeats?: number;
  /** Additional words in names of fields and parameters that hold secrets. */
  secretNames?: readonly string[];
}

/** A record that was written, without secrets. */
export interface Logged {
  /** Counts the records. */
  readonly id: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** The severity. */
  readonly level: LogLevel;
  /** The plugin's name, or `kernel`. */
  readonly plugin: string;
  /** The message. */
  readonly message: string;
  /** Structured data. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What logging offers to other plugins. */
export interface Logging {
  /** Returns the latest warnings and errors that were written, at most 200, the oldest first. */
  recent(): readonly Logged[];
}

/** How many warnings and errors are remembered. */
const MAX_RECENT = 200;

const LEVELS = ["debug", "info", "warn", "error"] as const satisfies readonly LogLevel[];
const LOGTAPE_LEVELS = { debug: "debug", info: "info", warn: "warning", error: "error" } as const;

/** Writes the log. */
export function logging({
  logger,
  level = logger === undefined ? "info" : "debug",
  format = "auto",
  // deno-lint-ignore no-console -- the log goes to the console, which also survives a closed pipe
  write = (line) => console.log(line),
  maxRepeats = 50,
  secretNames = [],
}: LoggingOptions = {}): Plugin<Logging> {
  const check = checkOptions("logging");
  check.oneOf("level", level, LEVELS);
  check.oneOf("format", format, ["auto", "pretty", "json"]);
  check.positiveInteger("maxRepeats", maxRepeats);
  check.that(
    secretNames.every((name) => name !== ""),
    "secretNames",
    "a list of non-empty words",
    secretNames,
  );
  const threshold = LEVELS.indexOf(level);
  const writer = new PlainWriter({ maxText: 1_000, maxTotal: 10_000, secretNames });
  const output = logger === undefined ? lineOutput(format, write) : loggerOutput(logger);
  const recent: Logged[] = [];
  let count = 0;
  let clock = systemClock;

  const withinLimit = getThrottlingFilter({
    limit: maxRepeats,
    windowMs: 1_000,
    clock: () => clock.monotonicTime(),
    summary: {
      message: ({ suppressed }) => `left out ${suppressed} times`,
      logger: { warning: writeSummary },
    },
  });

  function writeSummary(message: string, { lastRecord }: Record<string, unknown>): void {
    const { rawMessage, ...last } = lastRecord as LogTapeRecord;
    output.write({ ...last, ...textOf(`${rawMessage} (${message})`), timestamp: clock.wallTime() });
  }

  return built({
    name: "logging",
    api: { recent: () => recent },
    start(host) {
      clock = host.clock;
    },
    log({ level, plugin, message, fields }) {
      if (LEVELS.indexOf(level) < threshold || !output.isEnabled(plugin, LOGTAPE_LEVELS[level])) return;
      const record = {
        category: [plugin],
        level: LOGTAPE_LEVELS[level],
        ...textOf(writer.text(message)),
        timestamp: clock.wallTime(),
        properties: {}, // without the fields, since the filter keeps records
      };
      if (level !== "debug" && !withinLimit(record)) return;
      const stacks = level === "debug" || level === "error";
      const properties = writer.fields(fields, stacks);
      output.write({ ...record, properties });
      if (level !== "warn" && level !== "error") return;
      recent.push({
        id: ++count,
        time: record.timestamp,
        level,
        plugin,
        message: record.rawMessage as string,
        fields: properties,
      });
      if (recent.length > MAX_RECENT) recent.shift();
    },
    stop() {
      withinLimit[Symbol.dispose]();
    },
  });
}

/** Returns a text as LogTape represents it. */
function textOf(text: string): Pick<LogTapeRecord, "message" | "rawMessage"> {
  return { message: [text], rawMessage: text };
}
