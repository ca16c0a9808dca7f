/** A part of a pattern: any text, or one character that matches. */
type Token = "*" | ((char: string) => boolean);

/** More alternatives are a mistake. */
const MAX_ALTERNATIVES = 100;

/**
 * Returns a test for a pattern as Centrifugo has it: `*` for any text, `?` for one character, `[a-z]` and `[!a-z]` for one
 * of several, `{a,b}` for alternatives, `\` before an ordinary character. It is no regular expression, so that no pattern
 * takes exponential time.
 */
export function globMatcher(pattern: string): (text: string) => boolean {
  if (pattern === "" || pattern === "*") return () => true;
  const all = alternativesOf(pattern).map(tokenize);
  return (text) => {
    const chars = [...text];
    return all.some((tokens) => matches(tokens, chars));
  };
}

function alternativesOf(pattern: string): string[] {
  let all = [""];
  for (const [piece] of pattern.matchAll(/\\[^]|\{[^{}]*\}|[^]/gu)) {
    const choices = piece.startsWith("{") && piece.length > 1 ? piece.slice(1, -1).split(",") : [piece];
    if (all.length * choices.length > MAX_ALTERNATIVES) return [pattern];
    all = all.flatMap((start) => choices.map((choice) => start + choice));
  }
  return all;
}

function tokenize(pattern: string): Token[] {
  return Array.from(pattern.matchAll(/\\[^]|\[!?[^\]]+\]|[^]/gu), ([piece]): Token => {
    if (piece === "*") return "*";
    if (piece === "?") return () => true;
    if (piece.length > 2 && piece.startsWith("[")) return setOf(piece.slice(1, -1));
    const char = piece.length > 1 && piece.startsWith("\\") ? piece.slice(1) : piece;
    return (given) => given === char;
  });
}

function setOf(text: string): (char: string) => boolean {
  const negated = text.startsWith("!");
  const ranges = Array.from(
    (negated ? text.slice(1) : text).matchAll(/([^])-([^])|[^]/gu),
    ([single, from = single, to = single]) => ({ from, to }),
  );
  return (char) => ranges.some(({ from, to }) => from <= char && char <= to) !== negated;
}

/** Goes back only to the latest `*`, which is enough. */
function matches(tokens: readonly Token[], chars: readonly string[]): boolean {
  let [token, char] = [0, 0];
  let [star, from] = [-1, 0];
  while (char < chars.length) {
    const next = tokens[token];
    if (next === "*") [star, from] = [token++, char];
    else if (next !== undefined && next(chars[char]!)) [token, char] = [token + 1, char + 1];
    else if (star >= 0) [token, char] = [star + 1, ++from];
    else return false;
  }
  return tokens.slice(token).every((rest) => rest === "*");
}
