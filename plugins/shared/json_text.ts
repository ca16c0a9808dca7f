/**
 * Parts of JSON texts, exactly as they were written.
 *
 * @module
 */

const [QUOTE, COMMA, OPEN_ARRAY, BACKSLASH, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = Array.from(
  '",[\\]{}',
  (char) => char.charCodeAt(0),
);

/**
 * Returns the text of a member of an object, so that it can be passed on unchanged: JSON.parse would round large numbers.
 * `json` must be text that JSON.parse accepts, and `path` leads through nested objects. Of members with the same name the
 * last counts, as for JSON.parse. Returns `undefined` if there is none.
 */
export function memberText(json: string, ...path: readonly string[]): string | undefined {
  let start = skipSpace(json, 0);
  for (const name of path) {
    start = memberStart(json, start, name);
    if (start === -1) return undefined;
  }
  return json.slice(start, endOfValue(json, start));
}

/** Returns the index after the string whose opening quote is at `start`. */
export function endOfString(json: string, start: number): number {
  let i = start + 1;
  for (let char = json.charCodeAt(i); char !== QUOTE && i < json.length; char = json.charCodeAt(i)) {
    i += char === BACKSLASH ? 2 : 1;
  }
  return i + 1;
}

/** Returns where the value of a member starts, or -1. */
function memberStart(json: string, object: number, name: string): number {
  let found = -1;
  if (json.charCodeAt(object) !== OPEN_OBJECT) return found;
  let i = skipSpace(json, object + 1);
  while (json.charCodeAt(i) === QUOTE) {
    const endOfName = endOfString(json, i);
    const written = json.slice(i + 1, endOfName - 1);
    const value = skipSpace(json, skipSpace(json, endOfName) + 1); // After the colon.
    if (written === name || written.includes("\\") && JSON.parse(`"${written}"`) === name) found = value;
    i = skipSpace(json, endOfValue(json, value));
    if (json.charCodeAt(i) === COMMA) i = skipSpace(json, i + 1);
  }
  return found;
}

function endOfValue(json: string, start: number): number {
  let i = start;
  let depth = 0;
  do {
    const char = json.charCodeAt(i);
    if (char === QUOTE) {
      i = endOfString(json, i);
      continue;
    }
    if (char === OPEN_OBJECT || char === OPEN_ARRAY) depth++;
    else if (char === CLOSE_OBJECT || char === CLOSE_ARRAY) depth--;
    else if (depth === 0) return endOfWord(json, i);
    i++;
  } while (depth > 0 && i < json.length);
  return i;
}

/** Returns the index after a number, `true`, `false` or `null`. */
function endOfWord(json: string, start: number): number {
  let i = start;
  while (i < json.length && !/[\s,\]}]/.test(json[i]!)) i++;
  return i;
}

function skipSpace(json: string, start: number): number {
  let i = start;
  while (i < json.length && json.charCodeAt(i) <= 32) i++;
  return i;
}
