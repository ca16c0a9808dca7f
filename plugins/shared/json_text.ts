/**
 * Parts of JSON texts, exactly as they were written.
 *
 * @module
 */

const [QUOTE, COMMA, BACKSLASH, OPEN, CLOSE] = Array.from('",\\{}', (char) => char.charCodeAt(0));

/** In ASCII, this bit tells braces from brackets. */
const BRACE_BIT = 32;

/**
 * Returns the text of a member of an object, so that it can be passed on unchanged: JSON.parse would round large numbers.
 * `json` must be text that JSON.parse accepts, and `path` leads through nested objects. Of members with the same name the
 * last counts, as for JSON.parse. Returns `undefined` if there is none.
 */
export function memberText(json: string, ...path: readonly string[]): string | undefined {
  const found: Range = { start: skipSpace(json, 0), end: -1 };
  if (path.length === 0) found.end = endOfValue(json, found.start);
  else scanMember(json, found.start, path, 0, found);
  return found.end === -1 ? undefined : json.slice(found.start, found.end);
}

/** Returns the texts of the values in a text, which need nothing between them. Invalid JSON is in one of the texts. */
export function* valueTexts(json: string): Generator<string> {
  for (let start = skipSpace(json, 0); start < json.length;) {
    const end = Math.max(endOfValue(json, start), start + 1);
    yield json.slice(start, end);
    start = skipSpace(json, end);
  }
}

/** Returns the texts of the items of an array, whose text JSON.parse must accept. */
export function* itemTexts(json: string): Generator<string> {
  let i = skipSpace(json, skipSpace(json, 0) + 1);
  while (i < json.length && !isEndOfArray(json.charCodeAt(i))) {
    const end = endOfValue(json, i);
    yield json.slice(i, end);
    i = skipSpace(json, end);
    if (json.charCodeAt(i) === COMMA) i = skipSpace(json, i + 1);
  }
}

interface Range {
  start: number;
  end: number;
}

/** Scans a value once, notes where the member `path` is in it, and returns the index after the value. */
function scanMember(
  json: string,
  start: number,
  path: readonly string[],
  level: number,
  found: Range,
): number {
  if (json.charCodeAt(start) !== OPEN) return endOfValue(json, start);
  const last = level === path.length - 1;
  let i = skipSpace(json, start + 1);
  while (json.charCodeAt(i) === QUOTE) {
    const endOfName = endOfString(json, i);
    const value = skipSpace(json, skipSpace(json, endOfName) + 1); // After the colon.
    const named = isName(json, i, endOfName, path[level]!);
    if (named) found.end = -1;
    const end = named && !last ? scanMember(json, value, path, level + 1, found) : endOfValue(json, value);
    if (named && last) {
      found.start = value;
      found.end = end;
    }
    i = skipSpace(json, end);
    if (json.charCodeAt(i) === COMMA) i = skipSpace(json, i + 1);
  }
  return i + 1;
}

function isName(json: string, start: number, end: number, name: string): boolean {
  if (end - start === name.length + 2 && json.startsWith(name, start + 1)) return true;
  const written = json.slice(start, end);
  return written.includes("\\") && JSON.parse(written) === name;
}

/** Returns the index after the string whose opening quote is at `start`. */
export function endOfString(json: string, start: number): number {
  // Most strings are short, and `indexOf` costs as much as some twenty characters in a loop.
  const near = start + 20;
  let i = start + 1;
  for (; i < near; i++) {
    const char = json.charCodeAt(i);
    if (char === QUOTE) return i + 1;
    if (char === BACKSLASH) i++;
  }
  for (let end = json.indexOf('"', i); end !== -1; end = json.indexOf('"', end + 1)) {
    let first = end;
    while (first > i && json.charCodeAt(first - 1) === BACKSLASH) first--;
    if ((end - first) % 2 === 0) return end + 1;
  }
  return json.length;
}

function endOfValue(json: string, start: number): number {
  let depth = 0;
  for (let i = start; i < json.length; i++) {
    const char = json.charCodeAt(i) | BRACE_BIT;
    if (char === QUOTE) i = endOfString(json, i) - 1;
    else if (char === OPEN) depth++;
    else if (char === CLOSE) depth--;
    else if (depth === 0) return endOfWord(json, i);
    if (depth === 0) return i + 1;
  }
  return json.length;
}

/** Returns the index after a number, `true`, `false` or `null`. */
function endOfWord(json: string, start: number): number {
  let i = start;
  while (i < json.length && !endsWord(json.charCodeAt(i))) i++;
  return i;
}

function isEndOfArray(char: number): boolean {
  return (char | BRACE_BIT) === CLOSE;
}

function endsWord(char: number): boolean {
  return char <= 32 || char === COMMA || (char | BRACE_BIT) === CLOSE;
}

function skipSpace(json: string, start: number): number {
  let i = start;
  while (i < json.length && json.charCodeAt(i) <= 32) i++;
  return i;
}
