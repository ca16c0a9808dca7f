/**
 * The arguments of a command: words, and flags that belong to settings.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { closestMatch } from "leven";
import { PlugboardError } from "../contract/errors.ts";

/** The parts of a command. */
export interface Arguments {
  /** The texts of the flags, by the names of their settings. */
  readonly flags: ReadonlyMap<string, string>;
  /** Everything else. */
  readonly words: readonly string[];
}

/**
 * Reads arguments: the flag of the setting `DATA_DIR` is `--data-dir`. `bare` ones take no value. Throws for an unknown flag.
 *
 * ```ts
 * import { readArguments, setting } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * const table = { DATA_DIR: setting.text("data", "Folder of the database") };
 * const { flags, words } = readArguments(table, ["check", "--data-dir", "/srv/data"]);
 * assert.deepEqual([flags.get("DATA_DIR"), words], ["/srv/data", ["check"]]);
 * ```
 */
export function readArguments(
  table: Readonly<Record<string, { readonly bare: boolean }>>,
  args: readonly string[],
): Arguments {
  const names = new Map(Object.keys(table).map((name) => [flagOf(name).slice(2), name]));
  const options = Object.fromEntries(
    Array.from(names, ([flag, name]) => [flag, { type: table[name]!.bare ? "boolean" : "string" } as const]),
  );
  const { tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const flags = new Map<string, string>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const name = names.get(token.name);
    if (name === undefined) throw unknownFlag(token.rawName, [...names.keys()]);
    const value = token.value ?? (table[name]!.bare ? "true" : undefined);
    if (value === undefined) throw new PlugboardError("bad_setting", `${token.rawName} needs a value`);
    flags.set(name, value);
  }
  return { flags, words };
}

/**
 * Returns the flag of a setting.
 *
 * ```ts
 * import { flagOf } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(flagOf("DATA_DIR"), "--data-dir");
 * ```
 */
export function flagOf(name: string): string {
  return `--${name.toLowerCase().replaceAll("_", "-")}`;
}

/**
 * Returns the known word that a misspelled one probably means: it differs in few letters, about half of them at most.
 *
 * ```ts
 * import { suggestion } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(suggestion("prot", ["port", "host"]), "port");
 * assert.equal(suggestion("nothing", ["port", "host"]), undefined);
 * ```
 */
export function suggestion(
  word: string,
  known: readonly string[],
  maxDistance: number = Math.min(3, Math.ceil(word.length / 2)),
): string | undefined {
  return closestMatch(word, known, { maxDistance });
}

function unknownFlag(flag: string, known: readonly string[]): PlugboardError {
  const nearest = suggestion(flag.replace(/^-+/, ""), known);
  const hint = nearest === undefined ? "; see --help" : `; did you mean --${nearest}?`;
  return new PlugboardError("bad_setting", `Unknown flag ${flag}${hint}`);
}
