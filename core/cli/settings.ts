/**
 * Settings: read from flags and the environment, by a table of their types.
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
import { flagOf, readArguments, suggestion } from "./arguments.ts";

/** One setting: its type, its default, and what it is for. */
export interface Setting<T> {
  /** Parses a text. Throws an error whose message says what the text must be. */
  readonly parse: (text: string) => T;
  /** The default. */
  readonly fallback: T;
  /** A sentence for `--help`. */
  readonly help: string;
  /** Whether the value is never printed. */
  readonly secret: boolean;
  /** Whether its flag takes no value. */
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
  /** An optional text. */
  optional: (help: string): Setting<string | undefined> =>
    make((text): string | undefined => text, undefined, help),
  /** An optional text that is never printed. */
  secret: (help: string): Setting<string | undefined> =>
    make((text): string | undefined => text, undefined, help, true),
  /** A list, separated by commas. */
  list: (help: string, secret = false): Setting<readonly string[]> => make(parseList, [], help, secret),
  /** A whole number from `min` to `max`. */
  integer: (fallback: number, help: string, max = Number.MAX_SAFE_INTEGER, min = 0): Setting<number> =>
    make((text) => parseInteger(text, min, max), fallback, help),
  /** An optional whole number from 0 to `max`. */
  optionalInteger: (help: string, max = Number.MAX_SAFE_INTEGER): Setting<number | undefined> =>
    make((text): number | undefined => parseInteger(text, 0, max), undefined, help),
  /** A time such as `60s`, `1m30s` or `500ms`, in milliseconds. */
  duration: (fallback: number, help: string): Setting<number> =>
    make((text) => bounded(parseDuration(text), "a time such as 60s"), fallback, help),
  /** A size such as `512KB` or `1MB`, in bytes. */
  bytes: (fallback: number, help: string): Setting<number> =>
    make((text) => bounded(parseBytes(text), "a size such as 512KB"), fallback, help),
  /** An optional size such as `512MB` or `2GB`, in bytes. */
  optionalBytes: (help: string): Setting<number | undefined> =>
    make((text): number | undefined => checked(parseBytes(text), "a size such as 512MB"), undefined, help),
  /** One of a few words. */
  oneOf: <const Word extends string>(words: readonly Word[], fallback: Word, help: string): Setting<Word> =>
    make((text) => parseWord(words, text), fallback, `${help}: ${words.join(", ")}`),
  /** All names except those prefixed with `-`. */
  without: <const Name extends string>(names: readonly Name[], help: string): Setting<ReadonlySet<Name>> =>
    make((text) => parseWithout(names, text), new Set(names), `${help}: -${names.join(", -")}`),
  /** Any other type. `parse` throws an error whose message says what the text must be. */
  of: <T>(parse: (text: string) => T, fallback: T, help: string): Setting<T> => make(parse, fallback, help),
  /** A yes or no. */
  flag: (help: string, fallback = false): Setting<boolean> => make(parseFlag, fallback, help, false, true),
} as const;

/** Where settings come from. */
export interface SettingSources {
  /** The command's arguments. */
  readonly args: readonly string[];
  /** The environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Reads the settings of a table. Flags override the environment. Throws for an invalid value or an unknown flag. */
export function readSettings<Table extends Record<string, Setting<unknown>>>(
  table: Table,
  { args, env }: SettingSources,
): SettingsOf<Table> {
  const { flags, words } = readArguments(table, args);
  if (words.length > 0) throw new PlugboardError("bad_setting", `Unknown flag ${words[0]}; see --help`);
  const entries = Object.entries(table).map(([name, setting]) => {
    const text = flags.get(name) ?? env[name];
    const typed = flags.has(name) ? flagOf(name) : name;
    return [name, text === undefined || text === "" ? setting.fallback : parseSetting(typed, setting, text)];
  });
  return Object.fromEntries(entries);
}

/**
 * Parses the text of one setting. Throws one sentence if it is invalid, with the name as given: `PORT` or `--port`.
 *
 * ```ts
 * import { parseSetting, setting } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(parseSetting("PORT", setting.integer(8080, "Port to listen on"), "9000"), 9000);
 * ```
 */
export function parseSetting<T>(name: string, { parse, secret }: Setting<T>, text: string): T {
  try {
    return parse(text);
  } catch (error) {
    const shown = secret ? "" : `, got ${JSON.stringify(text)}`;
    throw new PlugboardError("bad_setting", `${name} must be ${(error as Error).message}${shown}`);
  }
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
 * The current settings as text, without secrets.
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
    const shown = value instanceof Set ? withoutNames(fallback as Set<unknown>, value) : value;
    return `${name}=${given(shown) ? secret ? "(hidden)" : shown : ""}`;
  }).join("\n");
}

/** Writes a set of names as it is read: by the names that are missing. */
function withoutNames(all: ReadonlySet<unknown>, given: ReadonlySet<unknown>): string[] {
  return [...all].filter((name) => !given.has(name)).map((name) => `-${name}`);
}

function parseList(text: string): readonly string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

function parseInteger(text: string, min: number, max: number): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= min && number <= max) return number;
  const from = min > 0 ? ` from ${min}` : "";
  throw new Error(`a whole number${from}${max < Number.MAX_SAFE_INTEGER ? ` up to ${max}` : ""}`);
}

const MS = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/**
 * Parses a time as Go writes it, such as `1m30s`. Returns milliseconds, or `NaN` for anything else.
 *
 * ```ts
 * import { parseDuration } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(parseDuration("1m30s"), 90_000);
 * ```
 */
export function parseDuration(text: string): number {
  if (!/^(\d+(\.\d+)?(ms|h|m|s))+$/.test(text.trim())) return NaN;
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g);
  return Math.round(
    parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * MS[unit as keyof typeof MS], 0),
  );
}

function parseBytes(text: string): number {
  const [, amount, unit] = text.trim().toUpperCase().match(/^(\d+) ?([KMG]?)B?$/) ?? [];
  return Number(amount) * 1024 ** ["", "K", "M", "G"].indexOf(unit ?? "");
}

/** Bounds a number to what timers and buffers accept. */
function bounded(value: number, rule: string): number {
  return checked(value < 2 ** 31 ? value : NaN, rule);
}

function checked(value: number, rule: string): number {
  if (value > 0 && Number.isSafeInteger(value)) return value;
  throw new Error(rule);
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
    const nearest = suggestion(part.replace(/^-/, ""), names);
    const hint = nearest === undefined ? "" : ` (did you mean -${nearest}?)`;
    throw new Error(`some of -${names.join(", -")}${hint}`);
  }
  return left;
}

function parseFlag(text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  throw new Error("1 or 0");
}
