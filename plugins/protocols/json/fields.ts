/**
 * What clients' messages carry, checked; and what of the services' words they are answered with.
 *
 * @module
 */

import type { Position, Publication, Subscribed } from "../../channels.ts";
import { queryChannel, sqlChannel, type SqlParams } from "../../shared/live_channels.ts";
import { invalid } from "./codes.ts";
import { typeOf } from "./envelope.ts";
import type { ClientMessage } from "./messages.ts";

/** The fields of a message's data. */
export function fields(data: unknown): Record<string, unknown> {
  if (data === undefined || data === null) return {};
  if (typeof data !== "object" || Array.isArray(data)) throw invalid('"data" must be an object');
  return data as Record<string, unknown>;
}

/** A position, as the server gave it, or an offset alone. */
export function positionIn(since: unknown): Position {
  const { offset, epoch = "" } = typeof since === "number" ? { offset: since } : fields(since);
  if (!Number.isSafeInteger(offset) || (offset as number) < 0 || typeof epoch !== "string") {
    throw invalid('"since" must be an offset, or an offset with an epoch');
  }
  return { offset: offset as number, epoch };
}

/** What a reader can be given at once without being taken for a slow one. */
const MAX_RECOVERED_CHARS = 524_288;

/** A recovery that is more than that is none: the client is told so, and can read the history in parts. */
export function bounded(subscribed: Subscribed): Subscribed {
  const { publications, position } = subscribed;
  const chars = publications.reduce((sum, { payload }) => sum + payload.text.length, 0);
  if (position === undefined || chars <= MAX_RECOVERED_CHARS) return subscribed;
  const { offset } = publications.at(-1)!;
  return { ...subscribed, position: { ...position, offset }, recovered: false, publications: [] };
}

/** A publication as a history shows it. */
export function written(publication: Publication) {
  const { offset, time, payload, info } = publication;
  return {
    offset,
    timestamp: time,
    type: typeOf(publication),
    data: payload.value(),
    ...(info !== undefined && { userId: info.user }),
  };
}

/** A live query is a channel; its name tells the query and the parameters. */
export function asQuery({ id, data }: ClientMessage): ClientMessage {
  const { query, sql, params = {}, since } = fields(data);
  const channel = typeof sql === "string"
    ? sqlChannel(sql, params as SqlParams) // checked when the channel is opened
    : queryChannel(queryIn(query), fields(params));
  return { type: "subscribe", id, channel, data: since === undefined ? {} : { since } };
}

function queryIn(query: unknown): string {
  if (typeof query === "string") return query;
  throw invalid('"data.query" must be the name of a query, or "data.sql" SQL');
}
