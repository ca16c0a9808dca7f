/**
 * Parameters of declared queries, as a channel name holds them: `live:ordersByStatus?status=pending`.
 *
 * @module
 */

import { chain, type MaybePromise, PlugboardError } from "../../core/mod.ts";
import { reasonOf, type SchemaResult, type StandardSchema } from "../shared/contract.ts";
import type { Identity } from "../shared/identity.ts";
import { LIVE } from "../shared/live_channels.ts";
import type { Params, SqlValue } from "./values.ts";

/** The type of a parameter. A `user` must be the subscriber's own user id. */
export type ParamType = "string" | "number" | "integer" | "boolean" | "user";

/** All types of parameters. */
export const PARAM_TYPES: readonly ParamType[] = ["string", "number", "integer", "boolean", "user"];

/** The parameters of a query, by name. */
export type ParamTypes = Readonly<Record<string, ParamType>>;

/** Splits a channel name into the query's name and the text of its parameters. */
export function splitChannel(channel: string): { name: string; text: string } {
  const [name, ...text] = channel.slice(LIVE.length).split("?");
  return { name: name!, text: text.join("?") };
}

/** Parses the text of parameters. Throws an error that names the wrong one. */
export function parseParams(text: string, types: ParamTypes, identity: Identity | undefined): Params {
  const given = new URLSearchParams(text);
  for (const name of given.keys()) {
    if (!Object.hasOwn(types, name)) throw refused(`There is no parameter "${name}"`);
  }
  return Object.fromEntries(
    Object.entries(types).map(([name, type]) => {
      const [value, ...more] = given.getAll(name);
      if (value === undefined) throw refused(`The parameter "${name}" is missing`);
      if (more.length > 0) throw refused(`The parameter "${name}" is given twice`);
      return [name, parse(name, type, value, identity)];
    }),
  );
}

/** Returns what a schema makes of the text of parameters. Throws or rejects with an error that names the wrong one. */
export function parseBySchema(text: string, schema: StandardSchema): MaybePromise<Record<string, unknown>> {
  const given = [...new URLSearchParams(text)];
  const texts = new Map(given);
  if (texts.size < given.length) throw refused("A parameter is given twice");
  const guesses = Object.fromEntries(given.map(([name, text]) => [name, guess(text)]));
  const validate = (value: unknown) => schema["~standard"].validate(value);
  return chain(validate(guesses), (result) => {
    // A text such as "5" may be meant as text.
    const wrong = (result.issues ?? []).map(({ path: [first] = [] }) =>
      String(typeof first === "object" ? first.key : first)
    ).filter((name) => Object.hasOwn(guesses, name) && typeof guesses[name] !== "string");
    if (wrong.length === 0) return objectOf(result);
    const asTexts = Object.fromEntries(wrong.map((name) => [name, texts.get(name)]));
    return chain(
      validate({ ...guesses, ...asTexts }),
      (second) => objectOf(second.issues === undefined ? second : result),
    );
  });
}

/** Returns the values that SQL binds to these names. */
export function bindable(given: Readonly<Record<string, unknown>>, names: readonly string[]): Params {
  return Object.fromEntries(names.map((name) => [name, sqlValue(name, given[name])]));
}

function sqlValue(name: string, value: unknown): SqlValue {
  if (value === undefined || value === null) return null;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "number" || typeof value === "string" || typeof value === "bigint") return value;
  const sentence = `The schema must give a number, text, boolean or null for the parameter "${name}"`;
  throw new PlugboardError("bad_option", sentence);
}

/** Returns the number or boolean whose text this is, otherwise the text. */
function guess(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  const number = Number(text);
  return Number.isFinite(number) && String(number) === text ? number : text;
}

function objectOf(result: SchemaResult<unknown>): Record<string, unknown> {
  if (result.issues !== undefined) throw refused(reasonOf(result.issues));
  if (typeof result.value === "object" && result.value !== null) {
    return result.value as Record<string, unknown>;
  }
  throw new PlugboardError("bad_option", "The schema of a query's parameters must give an object");
}

function parse(name: string, type: ParamType, text: string, identity: Identity | undefined): string | number {
  switch (type) {
    case "string":
      return text;
    case "number":
    case "integer": {
      const number = text.trim() === "" ? NaN : Number(text);
      const valid = type === "integer" ? Number.isSafeInteger(number) : Number.isFinite(number);
      if (valid) return number;
      throw refused(`The parameter "${name}" must be ${type === "integer" ? "an integer" : "a number"}`);
    }
    case "boolean":
      if (text !== "true" && text !== "false") throw refused(`The parameter "${name}" must be true or false`);
      return text === "true" ? 1 : 0;
    case "user":
      if (identity !== undefined && (identity.user === "" || identity.user !== text)) {
        throw new PlugboardError("permission_denied", `The parameter "${name}" must be your own user id`);
      }
      return text;
  }
}

function refused(message: string): PlugboardError {
  return new PlugboardError("bad_request", message);
}
