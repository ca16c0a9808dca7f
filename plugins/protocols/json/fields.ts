/**
 * Reads the fields of messages.
 *
 * @module
 */

import type { Position, Subscribed } from "../../channels.ts";
import { queryChannel, sqlChannel, type SqlParams } from "../../shared/live_channels.ts";
import { invalid } from "./codes.ts";
import type { ReceivedMessage } from "./envelope.ts";

/** Returns the fields of a message's data. */
export function fields(data: unknown): Record<string, unknown> {
  if (data === undefined || data === null) return {};
  if (typeof data !== "object" || Array.isArray(data)) throw invalid('"data" must be an object');
  return data as Record<string, unknown>;
}

/** Reads a position, or only its offset. */
export function positionIn(since: unknown): Position {
  const { offset, epoch = "" } = typeof since === "number" ? { offset: since } : fields(since);
  if (!Number.isSafeInteger(offset) || (offset as number) < 0 || typeof epoch !== "string") {
    throw invalid('"since" must be an offset, or an offset with an epoch');
  }
  return { offset: offset as number, epoch };
}

/** What a client can get at once without being too slow for it. */
const MAX_RECOVERED_CHARS = 524_288;

/** Returns a larger recovery as one that failed; the client can read the history in pages. */
export function bounded(subscribed: Subscribed): Subscribed {
  const { publications, position } = subscribed;
  const chars = publications.reduce((sum, { payload }) => sum + payload.text.length, 0);
  if (position === undefined || chars <= MAX_RECOVERED_CHARS) return subscribed;
  const { offset } = publications.at(-1)!;
  return { ...subscribed, position: { ...position, offset }, recovered: false, publications: [] };
}

/** Turns a live query into the channel whose name holds the query and its parameters. */
export function asQuery({ id, data, text }: ReceivedMessage): ReceivedMessage {
  const { query, sql, params = {}, since } = fields(data);
  const channel = typeof sql === "string"
    ? sqlChannel(sql, params as SqlParams) // checked when the channel is opened
    : queryChannel(queryIn(query), paramsIn(params));
  return { type: "subscribe", id, channel, data: since === undefined ? {} : { since }, text };
}

/** An object may have no text: `{ toString: null }` throws. */
function paramsIn(params: unknown): Record<string, unknown> {
  const given = fields(params);
  const isText = (value: unknown) => typeof value !== "object" || value === null;
  if (Object.values(given).every(isText)) return given;
  throw invalid('"data.params" must hold texts, numbers and booleans');
}

function queryIn(query: unknown): string {
  if (typeof query === "string") return query;
  throw invalid('"data.query" must be the name of a query, or "data.sql" SQL');
}
