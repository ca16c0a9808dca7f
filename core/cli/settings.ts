/**
 * Settings: read from flags, the environment and a `.env` file, in that order, by one table that tells their types.
 *
 * ```ts
 * import { readSettings, setting } from "@plugboard/server";
 *
 * const { PORT, DEBUG } = readSettings(
 *   { PORT: setting.integer(8080, "Port to listen on"), DEBUG: setting.flag("Say more") },
 *   { args: ["--port", "9000"], env: {} },
 * );
 * console.log(PORT, DEBUG); // 9000 false
 * ```
 *
 * @module
 */

import { PlugboardError } from "../contract/errors.ts";

/** One setting: its type, its default, and what it is for. */
export interface Setting<T> {
  /** Gives a text its type; throws what it should have been. */
  readonly parse: (text: string) => T;
  /** What counts when nothing is said. */
  readonly fallback: T;
  /** A sentence for the table of settings. */
  readonly help: string;
  /** Whether it is left out of what is printed. */
  readonly secret: boolean;
  /** Whether its flag needs no value. */
  readonly bare: boolean;
}

/** The settings of a table, by name. */
export type SettingsOf<Table extends Record<string, Setting<unknown>>> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer T> ? T : never;
};

function make<T>(
  parse: (text: string) => T,
  fallback: T,
  help: string,
  secret = false,
  bare = false,
): Setting<T> {
  return { parse, fallback, help, secret, bare };
}

/** Makes settings of the usual types. */
export const setting = {
  /** A text. */
  text: (fallback: string, help: string): Setting<string> => make((text) => text, fallback, help),
  /** A text that may be absent. */
  optional: (help: string): Setting<string | undefined> =>
    make((text): string | undefined => text, undefined, help),
  /** A text that is never shown. */
  secret: (help: string): Setting<string | undefined> =>
    make((text): string | undefined => text, undefined, help, true),
  /** A list, separated by commas. */
  list: (help: string, secret = false): Setting<readonly string[]> => make(parseList, [], help, secret),
  /** A whole number that is not negative. */
  integer: (fallback: number, help: string, max = Number.MAX_SAFE_INTEGER): Setting<number> =>
    make((text) => parseInteger(text, max), fallback, help),
  /** One of a few words. */
  oneOf: <const Word extends string>(words: readonly Word[], fallback: Word, help: string): Setting<Word> =>
    make((text) => parseWord(words, text), fallback, `${help}: ${words.join(", ")}`),
  /** Names of which all count but those that are named with a minus before it. */
  without: <const Name extends string>(names: readonly Name[], help: string): Setting<ReadonlySet<Name>> =>
    make((text) => parseWithout(names, text), new Set(names), `${help}: -${names.join(", -")}`),
  /** Anything else: what `parse` makes of a text; it throws what the text should have been. */
  of: <T>(parse: (text: string) => T, fallback: T, help: string): Setting<T> => make(parse, fallback, help),
  /** Yes or no. */
  flag: (help: string): Setting<boolean> => make(parseFlag, false, help, false, true),
} as const;

/** Where settings come from. */
export interface SettingSources {
  /** The command's arguments. */
  readonly args: readonly string[];
  /** The environment; what stands here wins over a file. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Reads the settings of a table; throws a sentence about the first that is wrong or unknown. */
export function readSettings<Table extends Record<string, Setting<unknown>>>(
  table: Table,
  { args, env }: SettingSources,
): SettingsOf<Table> {
  const flags = readFlags(table, args);
  const entries = Object.entries(table).map(([name, { parse, fallback }]) => {
    const text = flags.get(name) ?? env[name];
    if (text === undefined || text === "") return [name, fallback];
    try {
      return [name, parse(text)];
    } catch (error) {
      const shown = table[name]!.secret ? "" : `, got ${JSON.stringify(text)}`;
      throw new PlugboardError("bad_setting", `${name} must be ${(error as Error).message}${shown}`);
    }
  });
  return Object.fromEntries(entries);
}

/**
 * The table as text, for `--help`.
 *
 * ```ts
 * import { setting, settingsHelp } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * const help = settingsHelp({ PORT: setting.integer(8080, "Port to listen on") });
 * assert.equal(help, "PORT  --port  Port to listen on [8080]");
 * ```
 */
export function settingsHelp(table: Record<string, Setting<unknown>>): string {
  const rows = Object.entries(table).map(([name, { fallback, help }]) => {
    const known = typeof fallback === "number" || typeof fallback === "string" && fallback !== "";
    const shown = known ? ` [${fallback}]` : "";
    return [name, flagOf(name), help + shown] as const;
  });
  const width = (column: 0 | 1) => Math.max(...rows.map((row) => row[column].length)) + 2;
  return rows.map(([name, flag, help]) => name.padEnd(width(0)) + flag.padEnd(width(1)) + help).join("\n");
}

/**
 * What is in force, as text, with secrets left out.
 *
 * ```ts
 * import { setting, showSettings } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * const table = { KEY: setting.secret("Key of the backend") };
 * assert.equal(showSettings(table, { KEY: "geheim" }), "KEY=(hidden)");
 * ```
 */
export function showSettings<Table extends Record<string, Setting<unknown>>>(
  table: Table,
  settings: SettingsOf<Table>,
): string {
  const given = (value: unknown) => value !== undefined && String(value) !== "";
  return Object.entries(table).map(([name, { secret, fallback }]) => {
    const value: unknown = settings[name];
    const shown = value instanceof Set ? leftOut(fallback as Set<unknown>, value) : value;
    return `${name}=${given(shown) ? secret ? "(hidden)" : shown : ""}`;
  }).join("\n");
}

/** A set of names as it was given: by those that are missing. */
function leftOut(all: ReadonlySet<unknown>, given: ReadonlySet<unknown>): string[] {
  return [...all].filter((name) => !given.has(name)).map((name) => `-${name}`);
}

function flagOf(name: string): string {
  return `--${name.toLowerCase().replaceAll("_", "-")}`;
}

function readFlags(table: Record<string, Setting<unknown>>, args: readonly string[]): Map<string, string> {
  const names = new Map(Object.keys(table).map((name) => [flagOf(name), name]));
  const values = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const [flag, ...rest] = args[i]!.split("=");
    const name = names.get(flag!);
    if (name === undefined) throw unknownFlag(flag!, [...names.keys()]);
    const inline = rest.length > 0 ? rest.join("=") : undefined;
    const value = inline ?? (table[name]!.bare ? "true" : args[++i]);
    if (value === undefined) throw new PlugboardError("bad_setting", `${flag} needs a value`);
    values.set(name, value);
  }
  return values;
}

function unknownFlag(flag: string, known: readonly string[]): PlugboardError {
  const nearest = nearestTo(flag, known);
  const hint = nearest === undefined ? "; see --help" : `; did you mean ${nearest}?`;
  return new PlugboardError("bad_setting", `Unknown flag ${flag}${hint}`);
}

/** The word that was probably meant. */
function nearestTo(word: string, known: readonly string[]): string | undefined {
  const [nearest] = known.map((name) => ({ name, far: distance(word, name) })).sort((a, b) => a.far - b.far);
  return nearest !== undefined && nearest.far <= 3 ? nearest.name : undefined;
}

/** How many letters must be changed, added or left out to get from one word to the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (letter === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1)!;
}

function parseList(text: string): readonly string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

function parseInteger(text: string, max: number): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0 && number <= max) return number;
  throw new Error(max < Number.MAX_SAFE_INTEGER ? `a whole number up to ${max}` : "a whole number");
}

function parseWord<Word extends string>(words: readonly Word[], text: string): Word {
  const found = words.find((word) => word === text);
  if (found === undefined) throw new Error(`one of ${words.join(", ")}`);
  return found;
}

function parseWithout<Name extends string>(names: readonly Name[], text: string): ReadonlySet<Name> {
  const left = new Set(names);
  for (const part of parseList(text)) {
    if (part.startsWith("-") && left.delete(part.slice(1) as Name)) continue;
    const nearest = nearestTo(part.replace(/^-/, ""), names) ?? names[0];
    throw new Error(`some of -${names.join(", -")} (did you mean -${nearest}?)`);
  }
  return left;
}

function parseFlag(text: string): boolean {
  if (["1", "true", "yes", "on"].includes(text)) return true;
  if (["0", "false", "no", "off"].includes(text)) return false;
  throw new Error("1 or 0");
}
