/** Schemas that several methods share. */

import type { Schema } from "./schema.ts";

export const channel = {
  type: "string",
  minLength: 1,
  description: "The name of the channel",
  examples: ["news"],
} as const satisfies Schema;

export const user = { type: "string", description: "The user's id" } as const satisfies Schema;
export const client = { type: "string", description: "The id of a connection" } as const satisfies Schema;
export const session = {
  type: "string",
  description: "The session of a connection over an HTTP stream",
} as const satisfies Schema;

export const seconds = (description: string) =>
  ({ type: "integer", minimum: 0, description: `${description}, in seconds since 1970` }) as const;

export const offset = {
  type: "integer",
  minimum: 0,
  description: "Counts the publications of a channel",
} as const satisfies Schema;
export const epoch = { type: "string", description: "Identifies the history" } as const satisfies Schema;

export const position = {
  type: "object",
  properties: { offset, epoch },
  description: "A position in the history",
} as const satisfies Schema;

export const json = (description: string) => ({ description: `${description}; any JSON` }) as const;

export const base64 = (what: string) =>
  ({ type: "string", description: `The same as ${what}, as base64` }) as const;

export const cursor = {
  type: "string",
  description: "The cursor of the previous page",
} as const satisfies Schema;

export const nextCursor = {
  type: "string",
  description: "The cursor of the next page; absent on the last one",
} as const satisfies Schema;

/** Who publishes, joined or is present. */
export const clientInfo = {
  type: "object",
  properties: {
    user,
    client,
    conn_info: json("What the token says"),
    chan_info: json("The same of the subscription"),
  },
  required: ["user", "client"],
} as const satisfies Schema;

/** The result of methods that return nothing. */
export const nothing = { type: "object", properties: {} } as const satisfies Schema;
export const NOTHING = "{}";
