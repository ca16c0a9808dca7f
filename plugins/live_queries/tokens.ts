/**
 * Splits SQL into tokens, well enough to find conditions. SQLite itself checks the statement.
 *
 * @module
 */

import { lowerName } from "../shared/sql_text.ts";

/** A token. The `text` of identifiers and keywords is in lower case and without quotes, as SQLite compares them. */
export interface Token {
  /** A `word` can be a keyword; a `name` is quoted, so it cannot. */
  readonly type: "word" | "name" | "string" | "number" | "param" | "symbol";
  readonly text: string;
}

const PATTERN = new RegExp(
  [
    /(?<space>[ \t\n\f\r]+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))/u,
    /(?<string>'(?:[^']|'')*')/u,
    /(?<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])/u,
    /(?<param>[:@$][\w$\u{80}-\u{10ffff}]+|\?\d*)/u,
    /(?<number>0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+\-]?\d+)?)/u,
    /(?<word>[a-zA-Z_\u{80}-\u{10ffff}][\w$\u{80}-\u{10ffff}]*)/u,
    /(?<symbol>\|\||->>?|<=|>=|<>|!=|==|<<|>>|\S)/u,
  ].map(({ source }) => source).join("|"),
  "gu",
);

/** Splits SQL into tokens without comments and white space. */
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
  if (type === "word") return lowerName(text);
  if (type === "string") return text.slice(1, -1).replaceAll("''", "'");
  if (type !== "name") return text;
  const quote = text[0]!;
  const inside = text.slice(1, -1);
  return lowerName(quote === "[" ? inside : inside.replaceAll(quote + quote, quote));
}

/** Reports whether a token is one of these keywords. */
export function isWord(token: Token | undefined, ...words: string[]): boolean {
  return token?.type === "word" && words.includes(token.text);
}

/** Reports whether a token is one of these symbols. */
export function isSymbol(token: Token | undefined, ...symbols: string[]): boolean {
  return token?.type === "symbol" && symbols.includes(token.text);
}

/** Splits at separators outside of parentheses and `CASE … END`. */
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
