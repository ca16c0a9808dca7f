/**
 * Log records as lines of text: for people, and for machines.
 *
 * @module
 */

import {
  getJsonLinesFormatter,
  type LogRecord,
  sanitizeControlSequences,
  type TextFormatter,
} from "@logtape/logtape";
import { getPrettyFormatter } from "@logtape/pretty";

/** One JSON object a line: `@timestamp`, `level`, `message`, `logger` (the plugin), `fields`. */
export const jsonLines: TextFormatter = getJsonLinesFormatter({ properties: "nest:fields" });

/** An aligned, coloured line: time, level, plugin, message, fields; errors below it with their stacks. */
export function prettyLines(colors: boolean): TextFormatter {
  const format = getPrettyFormatter({
    colors,
    timestamp: "time",
    timeZone: null,
    level: "ABBR",
    levelStyle: "bold",
    categoryStyle: null,
    categoryWidth: 14,
    messageStyle: null,
    messageColor: null,
    icons: false,
    wordWrap: false,
    sanitize: { sgr: "escape" },
  });
  return (record) => format({ ...record, message: withFields(record) });
}

/** LogTape's form of a message: text and values by turns, beginning and ending with text. */
function withFields({ message, properties }: LogRecord): unknown[] {
  const parts: unknown[] = [];
  let text = oneLine(message.join(""));
  let errors = "";
  for (const [name, value] of Object.entries(properties)) {
    if (isError(value)) {
      errors += `\n${name === "error" ? "" : `${oneLine(name)}: `}${describeError(value)}`;
    } else {
      parts.push(`${text} ${oneLine(name)}=`, value);
      text = "";
    }
  }
  return [...parts, text + errors];
}

/** Whoever can put a word into the log must not paint the terminal, nor forge lines. */
function oneLine(text: string): string {
  return sanitizeControlSequences(text, { sgr: "escape", newlines: "escape" });
}

interface ErrorFields {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: unknown;
}

function isError(value: unknown): value is ErrorFields {
  return typeof value === "object" && value !== null && "name" in value && typeof value.name === "string" &&
    "message" in value && typeof value.message === "string";
}

function describeError(
  { name, message, stack = `${name}: ${message}`, cause, ...rest }: ErrorFields,
): string {
  const more = Object.keys(rest).length > 0 ? ` ${Deno.inspect(rest)}` : "";
  if (cause === undefined) return stack + more;
  return `${stack}${more}\nCaused by: ${isError(cause) ? describeError(cause) : Deno.inspect(cause)}`;
}
