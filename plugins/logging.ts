/**
 * Logging: writes what the kernel and the plugins have to say, readable on a terminal and as JSON lines elsewhere.
 *
 * Each line names its plugin. Secrets do not get through: neither by the name of a field (`token`, `password`,
 * `cookie` …) nor by how they look within a text (`?token=…`, `Bearer …`, JSON Web Tokens, private keys).
 * Fields are cut to a size that is worth reading.
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
import { checkOptions, type LogLevel, type Plugin, systemClock } from "../core/mod.ts";
import { lineOutput, loggerOutput } from "./logging/output.ts";
import { plainFields, plainText } from "./logging/plain.ts";
import { findSecrets } from "./shared/secrets.ts";

/** Options of {@linkcode logging}. */
export interface LoggingOptions {
  /** The least important level that is written. @default {"info"}, with a `logger` {"debug"} */
  level?: LogLevel;
  /** How lines look; `auto` is `pretty` on a terminal and `json` elsewhere. @default {"auto"} */
  format?: "auto" | "pretty" | "json";
  /** Takes each line, without the line break. @default {console.log} */
  write?: (line: string) => void;
  /**
   * A LogTape logger to hand everything to instead: each plugin becomes a child of it, and the configuration of the
   * application decides what is written and how. Without it, LogTape's configuration, which is one for the whole
   * process, is neither read nor changed.
   */
  logger?: Logger;
  /**
   * How many lines a second may have the same plugin, level and message; the rest is counted. So a client that makes
   * a handler fail cannot fill the disk. Does not concern `debug`. @default {50}
   */
  maxRepeats?: number;
  /** Words in the names of fields and parameters that hold secrets, beside the usual ones. */
  secretNames?: readonly string[];
}

const LEVELS = ["debug", "info", "warn", "error"] as const satisfies readonly LogLevel[];
const LOGTAPE_LEVELS = { debug: "debug", info: "info", warn: "warning", error: "error" } as const;

/** Writes the log. */
export function logging({
  logger,
  level = logger === undefined ? "info" : "debug",
  format = "auto",
  // deno-lint-ignore no-console -- the console is where the log goes; it also outlives a reader that has gone
  write = (line) => console.log(line),
  maxRepeats = 50,
  secretNames = [],
}: LoggingOptions = {}): Plugin {
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
  const secrets = findSecrets(secretNames);
  const output = logger === undefined ? lineOutput(format, write) : loggerOutput(logger);
  let clock = systemClock;

  const withinLimit = getThrottlingFilter({
    limit: maxRepeats,
    windowMs: 1_000,
    clock: () => clock.now(),
    summary: {
      message: ({ suppressed }) => `left out ${suppressed} times`,
      logger: { warning: tellLeftOut },
    },
  });

  function tellLeftOut(message: string, { lastRecord }: Record<string, unknown>): void {
    const { rawMessage, ...last } = lastRecord as LogTapeRecord;
    output.take({ ...last, ...textOf(`${rawMessage} (${message})`), timestamp: clock.now() });
  }

  return {
    name: "logging",
    start(host) {
      clock = host.clock;
    },
    log({ level, plugin, message, fields }) {
      if (LEVELS.indexOf(level) < threshold || !output.wants(plugin, LOGTAPE_LEVELS[level])) return;
      const record = {
        category: [plugin],
        level: LOGTAPE_LEVELS[level],
        ...textOf(plainText(message, secrets)),
        timestamp: clock.now(),
        properties: {}, // the limiter keeps records, so it does not get what they are about
      };
      if (level !== "debug" && !withinLimit(record)) return;
      const stacks = level === "debug" || level === "error";
      output.take({ ...record, properties: plainFields(fields, secrets, stacks) });
    },
    stop() {
      withinLimit[Symbol.dispose]();
    },
  };
}

/** A text as LogTape holds it. */
function textOf(text: string): Pick<LogTapeRecord, "message" | "rawMessage"> {
  return { message: [text], rawMessage: text };
}
