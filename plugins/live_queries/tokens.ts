/**
 * SQL as tokens: just enough to recognise conditions, not to judge a statement. SQLite does that.
 *
 * @module
 */

/** A piece of SQL. Identifiers and keywords are lower-cased and unquoted in `text`, as SQLite compares them. */
export interface Token {
  /** A bare word may be a keyword; a quoted name never is. */
  readonly type: "word" | "name" | "string" | "number" | "param" | "symbol";
  readonly text: string;
}

const PATTERN = new RegExp(
  [
    /(?<space>\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))/u,
    /(?<string>'(?:[^']|'')*')/u,
    /(?<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])/u,
    /(?<param>[:@$][\p{L}\p{N}_$]+|\?\d*)/u,
    /(?<number>0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+\-]?\d+)?)/u,
    /(?<word>[\p{L}_][\p{L}\p{N}_$]*)/u,
    /(?<symbol>\|\||->>?|<=|>=|<>|!=|==|<<|>>|\S)/u,
  ].map(({ source }) => source).join("|"),
  "gu",
);

/** Splits SQL into tokens; comments and white space are left out. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  for (const { groups } of sql.matchAll(PATTERN)) {
    const [type, text] = Object.entries(groups!).find(([, value]) => value !== undefined)! as [
      string,
      string,
    ];
    if (type !== "space") tokens.push({ type: type as Token["type"], text: plain(type, text) });
  }
  return tokens;
}

function plain(type: string, text: string): string {
  if (type === "word") return text.toLowerCase();
  if (type === "string") return text.slice(1, -1).replaceAll("''", "'");
  if (type !== "name") return text;
  const quote = text[0]!;
  const inside = text.slice(1, -1);
  return (quote === "[" ? inside : inside.replaceAll(quote + quote, quote)).toLowerCase();
}

/** Whether a token is this keyword. */
export function isWord(token: Token | undefined, ...words: string[]): boolean {
  return token?.type === "word" && words.includes(token.text);
}

/** Whether a token is this sign. */
export function isSymbol(token: Token | undefined, ...symbols: string[]): boolean {
  return token?.type === "symbol" && symbols.includes(token.text);
}

/** Splits at tokens outside of any parentheses and `CASE … END`; the separators are left out. */
export function splitAt(tokens: readonly Token[], separates: (token: Token) => boolean): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (isSymbol(token, "(") || isWord(token, "case")) depth++;
    if (isSymbol(token, ")") || isWord(token, "end")) depth--;
    if (depth === 0 && separates(token)) parts.push([]);
    else parts.at(-1)!.push(token);
  }
  return parts;
}
