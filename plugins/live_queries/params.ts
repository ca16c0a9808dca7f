/**
 * Parameters of declared queries, as a channel name holds them: `live:ordersByStatus?status=pending`.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Identity } from "../shared/identity.ts";
import { LIVE } from "../shared/live_channels.ts";
import type { Params } from "./values.ts";

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
