/**
 * Conditions: which rows of a table can affect a query.
 *
 * If a query says `column = :param` of a base table, a row with another value in that column does not affect its
 * result. So instances can be indexed by value, and a change wakes only those with the row's old or new value.
 * In case of doubt there is no condition, and every change of the table wakes the query.
 *
 * @module
 */

import { isSymbol, isWord, splitAt, type Token, tokenize } from "./tokens.ts";

/** What a column is compared with: a parameter of the query or a literal. */
export type Operand = { readonly param: string } | { readonly value: string | number | null };

/** A row affects the query only if its column equals one of the operands. */
export interface Condition {
  readonly column: string;
  readonly operands: readonly Operand[];
}

/** Returns the columns of a base table, and `undefined` for anything else. Names are in lower case. */
export type ColumnsOf = (table: string) => { has(column: string): boolean } | undefined;

/** A base table in the FROM clause. */
interface Source {
  readonly table: string;
  readonly alias: string;
}

const CLAUSES = ["where", "group", "having", "window", "order", "limit"];
const COMPOUND = ["union", "intersect", "except"];
const JOIN_WORDS = ["join", "left", "inner", "cross", "natural", "outer"];

/** Returns the conditions of a query by table. */
export function conditionsOf(sql: string, columnsOf: ColumnsOf): Map<string, Condition[]> {
  const found = new Map<string, Condition[]>();
  const tokens = tokenize(sql).filter((token) => !isSymbol(token, ";"));
  const select = namesKeywords(tokens) ? undefined : mainSelect(tokens);
  if (select === undefined) return found;
  const { from, where } = select;
  const sources = readSources(from, columnsOf);
  if (sources === undefined) return found;
  const outer = from.some((token) => isWord(token, "left"));
  for (const term of conjunction(where)) {
    const comparison = readComparison(term);
    // An outer join adds rows of NULLs, which IS can match.
    if (comparison === undefined || (outer && comparison.is)) continue;
    const table = tableOf(comparison.column, sources, columnsOf);
    if (table === undefined || occurrences(table, tokens) !== 1) continue;
    const condition = { column: comparison.column.at(-1)!, operands: comparison.operands };
    found.set(table, [...found.get(table) ?? [], condition]);
  }
  return found;
}

/** Whether END or WINDOW may be used as a name. Only a full parser could tell which it is. */
function namesKeywords(tokens: readonly Token[]): boolean {
  const count = (word: string) => tokens.filter((token) => isWord(token, word)).length;
  return count("end") !== count("case") ||
    tokens.some((token, i) => isWord(token, "window") && !isWord(tokens[i + 2], "as"));
}

/** Returns the FROM and WHERE clauses of a plain SELECT, and nothing for a compound one. */
function mainSelect(tokens: readonly Token[]): { from: Token[]; where: Token[] } | undefined {
  const clauses = splitAt(tokens, (token) => isWord(token, "select", "from", ...CLAUSES, ...COMPOUND));
  const heads = headsOf(tokens);
  // A second FROM, as in `a IS DISTINCT FROM b`, would end the WHERE clause too early.
  const once = (name: string) =>
    heads.indexOf(name) !== -1 && heads.indexOf(name) === heads.lastIndexOf(name);
  const plain = ["select", "from", "where"].every(once) && !heads.some((head) => COMPOUND.includes(head));
  if (!plain) return;
  const clause = (name: string) => clauses[heads.indexOf(name) + 1]!;
  return { from: clause("from"), where: clause("where") };
}

/** The keywords that begin the clauses, in order. */
function headsOf(tokens: readonly Token[]): string[] {
  const heads: string[] = [];
  splitAt(tokens, (token) => {
    const isHead = isWord(token, "select", "from", ...CLAUSES, ...COMPOUND);
    if (isHead) heads.push(token.text);
    return isHead;
  });
  return heads;
}

/** The sources of a FROM clause; those that are not base tables have an empty name. Nothing for RIGHT and FULL joins. */
function readSources(from: readonly Token[], columnsOf: ColumnsOf): Source[] | undefined {
  if (from.some((token) => isWord(token, "right", "full"))) return;
  const sources: Source[] = [];
  for (const part of splitAt(from, (token) => isSymbol(token, ",") || isWord(token, ...JOIN_WORDS))) {
    const [source] = splitAt(part, (token) => isWord(token, "on", "using", "indexed", "not"));
    const words = source!.filter((token) => !isWord(token, "as"));
    if (words.length === 0) continue;
    const names = isSymbol(words[1], ".") && isWordOrName(words[0]) && words[0]!.text === "main"
      ? words.slice(2)
      : words;
    const [table, alias = table, ...rest] = names;
    const plain = isWordOrName(table) && isWordOrName(alias) && rest.length === 0;
    if (plain && columnsOf(table!.text) !== undefined) {
      sources.push({ table: table!.text, alias: alias!.text });
    } else sources.push({ table: "", alias: "" });
  }
  return sources;
}

/** The terms that a row must all meet; none if they are not joined by AND only. */
function conjunction(where: readonly Token[]): Token[][] {
  if (splitAt(where, (token) => isWord(token, "or")).length > 1) return [];
  let between = false;
  const terms = splitAt(where, (token) => {
    if (isWord(token, "between")) between = true;
    if (!isWord(token, "and")) return false;
    const separates = !between;
    between = false;
    return separates;
  });
  return terms.flatMap((term) => {
    const wrapped = isSymbol(term[0], "(") && isSymbol(term.at(-1), ")") && closes(term);
    return wrapped ? conjunction(term.slice(1, -1)) : [term];
  });
}

/** Whether the last token closes the first parenthesis. */
function closes(term: readonly Token[]): boolean {
  let depth = 0;
  return term.every((token, i) => {
    if (isSymbol(token, "(")) depth++;
    if (isSymbol(token, ")")) depth--;
    return depth > 0 || i === term.length - 1;
  });
}

/** A column and what it must equal. With `is`, NULL equals NULL. */
interface Comparison {
  readonly column: string[];
  readonly operands: Operand[];
  readonly is: boolean;
}

/** Reads `column = operand`, `column IS operand`, the same with the sides swapped, or `column IN (operand, …)`. */
function readComparison(term: readonly Token[]): Comparison | undefined {
  const sign = term.findIndex((token) => isSymbol(token, "=", "==") || isWord(token, "is", "in"));
  if (sign === -1) return;
  const [left, right] = [term.slice(0, sign), term.slice(sign + 1)];
  if (isWord(term[sign], "in")) {
    const column = columnIn(left);
    if (column === undefined || !isSymbol(right[0], "(") || !isSymbol(right.at(-1), ")")) return;
    const operands = splitAt(right.slice(1, -1), (token) => isSymbol(token, ",")).map(operandIn);
    return operands.every((each) => each !== undefined) ? { column, operands, is: false } : undefined;
  }
  const column = columnIn(left) ?? columnIn(right);
  const operand = operandIn(left) ?? operandIn(right);
  if (column === undefined || operand === undefined) return;
  return { column, operands: [operand], is: isWord(term[sign], "is") };
}

/** Reads `column` or `source.column`. */
function columnIn(tokens: readonly Token[]): string[] | undefined {
  const [first, dot, second] = tokens;
  if (!isWordOrName(first) || isWord(first, "null", "true", "false", "not")) return;
  if (tokens.length === 1) return [first!.text];
  return tokens.length === 3 && isSymbol(dot, ".") && isWordOrName(second)
    ? [first!.text, second!.text]
    : undefined;
}

function operandIn(tokens: readonly Token[]): Operand | undefined {
  const [token] = tokens;
  if (tokens.length !== 1 || token === undefined) return;
  // `?` has no name, so its value is unknown here.
  if (token.type === "param") return token.text === "?" ? undefined : { param: token.text };
  if (token.type === "string") return { value: token.text };
  if (token.type === "number") return { value: numberIn(token.text) };
  return isWord(token, "null") ? { value: null } : undefined;
}

/** SQLite reads hexadecimal numbers as signed ones of 64 bits. */
function numberIn(text: string): number {
  return Number(/^0x/i.test(text) ? BigInt.asIntN(64, BigInt(text)) : text);
}

/** The table of a column, if there is only one candidate. */
function tableOf(
  column: readonly string[],
  sources: readonly Source[],
  columnsOf: ColumnsOf,
): string | undefined {
  const has = ({ table }: Source) => columnsOf(table)?.has(column.at(-1)!) === true;
  const candidates = column.length === 2
    ? sources.filter((source) => source.alias === column[0] && has(source))
    : sources.some(({ table }) => table === "")
    ? []
    : sources.filter(has);
  return candidates.length === 1 ? candidates[0]!.table : undefined;
}

/** Counts the uses of a name as a table, not as the qualifier of a column. */
function occurrences(name: string, tokens: readonly Token[]): number {
  return tokens.filter((token, i) =>
    isWordOrName(token) && token.text === name && !isSymbol(tokens[i + 1], ".") &&
    !(isSymbol(tokens[i - 1], ".") && tokens[i - 2]?.text !== "main")
  ).length;
}

function isWordOrName(token: Token | undefined): boolean {
  return token?.type === "word" || token?.type === "name";
}
