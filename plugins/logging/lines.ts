import {
  getJsonLinesFormatter,
  type LogRecord,
  sanitizeControlSequences,
  type TextFormatter,
} from "@logtape/logtape";
import { getPrettyFormatter } from "@logtape/pretty";

/** Formats one JSON object per line: `@timestamp`, `level`, `message`, `logger` (the plugin), `fields`. */
export const jsonLines: TextFormatter = getJsonLinesFormatter({ properties: "nest:fields" });

/** Formats aligned lines: time, level, plugin, message, fields. Errors follow below with their stacks. */
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

/** Returns a message as LogTape represents it: texts and values alternate, with a text first and last. */
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

/** Escapes control sequences and line breaks, so that logged text cannot forge lines or control the terminal. */
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
