/**
 * Parameters of queries, as they stand in a channel's name: `live:ordersByStatus?status=pending`.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Identity } from "../shared/identity.ts";
import type { Params } from "./values.ts";

/** What a parameter may be. A `user` must be the id of whoever subscribes: nobody can ask for somebody else's. */
export type ParamType = "string" | "number" | "integer" | "boolean" | "user";

/** All of them. */
export const PARAM_TYPES: readonly ParamType[] = ["string", "number", "integer", "boolean", "user"];

/** The parameters a query declares. */
export type ParamTypes = Readonly<Record<string, ParamType>>;

/** A live query's channel begins so. */
export const LIVE = "live:";

/** The query's name and the text of its parameters, from a channel's name. */
export function splitChannel(channel: string): { name: string; text: string } {
  const rest = channel.slice(LIVE.length);
  const question = rest.indexOf("?");
  return question === -1
    ? { name: rest, text: "" }
    : { name: rest.slice(0, question), text: rest.slice(question + 1) };
}

/** Reads parameters from a channel's name; throws which one is wrong. */
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
      return [name, convert(name, type, value, identity)];
    }),
  );
}

function convert(
  name: string,
  type: ParamType,
  text: string,
  identity: Identity | undefined,
): string | number {
  switch (type) {
    case "string":
      return text;
    case "number":
    case "integer": {
      const number = text.trim() === "" ? NaN : Number(text);
      const fits = type === "integer" ? Number.isSafeInteger(number) : Number.isFinite(number);
      if (!fits) {
        throw refused(`The parameter "${name}" must be ${type === "integer" ? "an integer" : "a number"}`);
      }
      return number;
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

/** The channel of a query with these parameters, in the one order there is. */
export function channelOf(name: string, params: Params): string {
  const text = new URLSearchParams(
    Object.entries(params).map(([key, value]) => [key, String(value)] as [string, string])
      .sort(([a], [b]) => a < b ? -1 : 1),
  ).toString();
  return `${LIVE}${name}${text === "" ? "" : `?${text}`}`;
}

function refused(message: string): PlugboardError {
  return new PlugboardError("bad_request", message);
}
