/**
 * Conditions: which rows of a table a query can depend on at all.
 *
 * Where a query says `column = :param` of a base table, a row with another value in that column has no part in its
 * result, neither before nor after a change. So its instances can be indexed by value, and a change wakes only
 * those whose value the row had or has. Whatever is not certain gives no condition: the query is then woken by
 * every change of the table.
 *
 * @module
 */

import { isSymbol, isWord, splitAt, type Token, tokenize } from "./tokens.ts";

/** Something a column is compared with: a parameter of the query, or a value written in it. */
export type Operand = { readonly param: string } | { readonly value: string | number | null };

/** A row has a part only if its column equals one of these. */
export interface Condition {
  readonly column: string;
  readonly operands: readonly Operand[];
}

/** What must be known of the tables: the columns of a base table, and nothing of anything else. All in lower case. */
export type ColumnsOf = (table: string) => { has(column: string): boolean } | undefined;

/** A base table in the FROM clause. */
interface Source {
  readonly table: string;
  readonly alias: string;
}

const CLAUSES = ["where", "group", "having", "window", "order", "limit"];
const COMPOUND = ["union", "intersect", "except"];
const JOIN_WORDS = ["join", "left", "inner", "cross", "natural", "outer"];

/** The conditions of a query, by table. */
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
    // An outer join gives rows where there is none in the table, and these may be what IS finds.
    if (comparison === undefined || (outer && comparison.is)) continue;
    const table = tableOf(comparison.column, sources, columnsOf);
    if (table === undefined || occurrences(table, tokens) !== 1) continue;
    const condition = { column: comparison.column.at(-1)!, operands: comparison.operands };
    found.set(table, [...found.get(table) ?? [], condition]);
  }
  return found;
}

/** Whether a keyword that SQLite also takes for a name may be one: then nobody knows which it is without a parser. */
function namesKeywords(tokens: readonly Token[]): boolean {
  const count = (word: string) => tokens.filter((token) => isWord(token, word)).length;
  return count("end") !== count("case") ||
    tokens.some((token, i) => isWord(token, "window") && !isWord(tokens[i + 2], "as"));
}

/** The FROM and WHERE clauses of a plain SELECT; nothing for a compound one. */
function mainSelect(tokens: readonly Token[]): { from: Token[]; where: Token[] } | undefined {
  const clauses = splitAt(tokens, (token) => isWord(token, "select", "from", ...CLAUSES, ...COMPOUND));
  const heads = headsOf(tokens);
  // Not even a second FROM: `a IS DISTINCT FROM b` would end the WHERE clause too early.
  const once = (name: string) =>
    heads.indexOf(name) !== -1 && heads.indexOf(name) === heads.lastIndexOf(name);
  const plain = ["select", "from", "where"].every(once) && !heads.some((head) => COMPOUND.includes(head));
  if (!plain) return;
  const clause = (name: string) => clauses[heads.indexOf(name) + 1]!;
  return { from: clause("from"), where: clause("where") };
}

/** The words that begin the clauses, in order. */
function headsOf(tokens: readonly Token[]): string[] {
  const heads: string[] = [];
  splitAt(tokens, (token) => {
    const begins = isWord(token, "select", "from", ...CLAUSES, ...COMPOUND);
    if (begins) heads.push(token.text);
    return begins;
  });
  return heads;
}

/** The tables of a FROM clause; what is no base table is left out. Nothing where an outer join may add rows of its own. */
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

/** The terms that all must hold; none if it is no plain conjunction. */
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

/** Whether the first parenthesis is closed by the last token. */
function closes(term: readonly Token[]): boolean {
  let depth = 0;
  return term.every((token, i) => {
    if (isSymbol(token, "(")) depth++;
    if (isSymbol(token, ")")) depth--;
    return depth > 0 || i === term.length - 1;
  });
}

/** A column, and what it must equal; `is` where NULL equals NULL. */
interface Comparison {
  readonly column: string[];
  readonly operands: Operand[];
  readonly is: boolean;
}

/** `column = operand` or `column IS operand`, either way round, or `column IN (operand, …)`. */
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

/** `column` or `source.column`. */
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
  // A bare `?` has no name to look it up by.
  if (token.type === "param") return token.text === "?" ? undefined : { param: token.text };
  if (token.type === "string") return { value: token.text };
  if (token.type === "number") return { value: Number(token.text) };
  return isWord(token, "null") ? { value: null } : undefined;
}

/** The table a column belongs to, where there is no doubt. */
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

/** How often a name stands in the query other than before a dot. */
function occurrences(name: string, tokens: readonly Token[]): number {
  return tokens.filter((token, i) =>
    isWordOrName(token) && token.text === name && !isSymbol(tokens[i + 1], ".") &&
    !(isSymbol(tokens[i - 1], ".") && tokens[i - 2]?.text !== "main")
  ).length;
}

function isWordOrName(token: Token | undefined): boolean {
  return token?.type === "word" || token?.type === "name";
}
