/**
 * The flags and environment variables of the options, from the schema.
 *
 * @module
 */

import { PlugboardError, type Setting, setting } from "../../../core/mod.ts";
import { parseApiKeys } from "../../auth.ts";
import { hasType, type Schema, schema } from "./schema.ts";
import { ruleOf } from "./problems.ts";
import type { ApiKeySettings } from "./settings.ts";

/** An option with a flag and a variable. */
export interface Option {
  /** Where the value is within a file. */
  readonly path: readonly string[];
  readonly setting: Setting<unknown>;
}

/** The options by the names of their variables. */
export const options: ReadonlyMap<string, Option> = new Map(
  Object.entries(schema.properties).flatMap(([name, of]) => [...optionsIn([name], of)]),
);

/** `dataDir` is `DATA_DIR`, and `limits.messages` is `LIMIT_MESSAGES`. */
export function variableOf(path: readonly string[]): string {
  const [first, ...rest] = path;
  const words = [rest.length > 0 ? first!.replace(/s$/, "") : first!, ...rest];
  return words.map((word) => word.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()).join("_");
}

function* optionsIn(path: readonly string[], of: Schema): Generator<[string, Option]> {
  const made = settingOf(path, of);
  if (made !== undefined) yield [variableOf(path), { path, setting: made }];
  if (path[0] !== "limits") return;
  for (const [name, inner] of (of.anyOf ?? []).flatMap(({ properties = {} }) => Object.entries(properties))) {
    yield* optionsIn([...path, name], inner);
  }
}

/** Makes the reader of an option's text; `undefined` for what only a file can contain. */
function settingOf(path: readonly string[], of: Schema): Setting<unknown> | undefined {
  const help = helpOf(of);
  const { enum: words, default: fallback, writeOnly: secret = false } = of;
  const make = (parse: (text: string) => unknown, bare = false): Setting<unknown> => ({
    parse,
    fallback,
    help,
    secret,
    bare,
  });
  switch (path.join(".")) {
    case "$schema":
      return;
    case "apiKeys":
      return make(readApiKeys);
    case "plugins":
      return make((text) => readPlugins(text, of));
    case "limits":
      return make(setting.oneOf(["on", "off"], "on", help).parse);
  }
  if (words !== undefined) return make(setting.oneOf(words as string[], "", help).parse);
  if (hasType(of, "integer")) {
    return make(setting.integer(0, help, of.maximum ?? Number.MAX_SAFE_INTEGER, of.minimum).parse);
  }
  if (hasType(of, "boolean")) return make(setting.flag(help).parse, true);
  if (hasType(of, "array")) return make(setting.list(help).parse);
  if (hasType(of, "string")) return make((text) => readText(text, of));
}

/** The first sentence, for a table. */
function helpOf({ description = "", enum: words }: Schema): string {
  const sentence = description.replace(/\.$/, "");
  return words === undefined ? sentence : `${sentence}: ${words.join(", ")}`;
}

function readText(text: string, of: Schema): string {
  if (of.pattern === undefined || new RegExp(of.pattern).test(text)) return text;
  throw new Error(ruleOf(of));
}

function readApiKeys(text: string): Record<string, ApiKeySettings> {
  return Object.fromEntries(
    parseApiKeys(text).map(({ name, key, permissions }) => [name, { key, permissions }]),
  );
}

/** The plugins that can be disabled. */
function readPlugins(text: string, { properties = {} }: Schema): Record<string, false> {
  const names = Object.entries(properties).filter(([, of]) =>
    [of, ...of.anyOf ?? []].some((each) => hasType(each, "boolean"))
  ).map(([name]) => name);
  const left = setting.without(names, "").parse(text);
  return Object.fromEntries(names.filter((name) => !left.has(name)).map((name) => [name, false]));
}

/** Parses the text of an option. Errors call it as it was `typed`: `API_KEYS` or `--api-keys`. */
export function parseOption(
  name: string,
  { setting: { parse, secret } }: Option,
  text: string,
  typed: string = name,
): unknown {
  try {
    return parse(text);
  } catch (error) {
    const { message } = error as Error;
    // Some name the variable already.
    if (error instanceof PlugboardError) throw new PlugboardError(error.code, message.replace(name, typed));
    const got = secret ? "" : `, got ${JSON.stringify(text)}`;
    throw new PlugboardError("bad_setting", `${typed} must be ${message}${got}`);
  }
}
