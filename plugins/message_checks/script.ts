/**
 * Strings that a browser would run as script if a page inserted them unescaped.
 *
 * Pages must escape strings in any case: a list of patterns is never complete.
 *
 * @module
 */

const PATTERNS: readonly RegExp[] = [
  /<\/?(?:script|iframe|object|embed|svg|math|style|link|meta|base|form)\b[^<>]*>?/gi,
  /<[a-z][^<>]*\son[a-z]+\s*=[^<>]*>?/gi,
  /\b(?:javascript|vbscript)\s*:/gi,
  /\bdata\s*:\s*text\/html/gi,
];

/** Removing a tag may create another one from nested parts. Honest text is not nested this deep. */
const MAX_ROUNDS = 8;

/** Whether a text contains something that a browser might run. */
export function hasScript(text: string): boolean {
  return PATTERNS.some((pattern) => text.search(pattern) !== -1);
}

/**
 * Removes what a browser might run from all strings of a value, keys included.
 *
 * ```ts
 * import { stripScript } from "@plugboard/server/message_checks";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(stripScript({ text: "hi <script>alert(1)</script>" }), { text: "hi alert(1)" });
 * ```
 */
export function stripScript(value: unknown): unknown {
  if (typeof value === "string") return stripText(value);
  if (Array.isArray(value)) return value.map(stripScript);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [stripText(key), stripScript(each)]));
}

function stripText(text: string): string {
  let rest = text;
  for (let round = 0; hasScript(rest); round++) {
    if (round === MAX_ROUNDS) return "";
    rest = PATTERNS.reduce((left, pattern) => left.replace(pattern, ""), rest);
  }
  return rest;
}
