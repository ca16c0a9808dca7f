/**
 * Reads the history of a channel from its log and from the tail.
 *
 * @module
 */

import type { History, HistoryQuery, Publication, Retention } from "../channels.ts";
import type { Store } from "../persistence.ts";
import { Payload } from "../shared/payload.ts";
import type { LogEnds } from "./log_ends.ts";

interface PublicationRow {
  readonly offset: number;
  readonly time: number;
  readonly json: string;
  readonly bytes: Uint8Array | null;
  readonly info: string | null;
  readonly tags: string | null;
}

const COLUMNS = "offset, time, row.json, bytes, info, tags";

/** Returns publications of a channel, and its position. */
export function history(
  store: Pick<Store, "all" | "get">,
  ends: LogEnds,
  channel: string,
  query: HistoryQuery,
  keep: Retention,
  now: number,
): History {
  const log = ends.find(store, channel);
  if (log === undefined) {
    const { epoch } = store.get<{ epoch: string }>("SELECT epoch FROM channel_epoch")!;
    return { publications: [], top: { offset: 0, epoch } };
  }
  const { id, epoch, settled, stored } = log;
  const top = { offset: log.top, epoch };
  const { limit = Infinity, since, reverse = false } = query;
  if (limit === 0 || (since !== undefined && since.epoch !== "" && since.epoch !== epoch)) {
    return { publications: [], top };
  }
  const trimmed = log.top - keep.size;
  const [after, before] = reverse
    ? [trimmed, since?.offset ?? log.top + 1]
    : [Math.max(trimmed, since?.offset ?? 0), log.top + 1];
  const order = reverse ? "DESC" : "ASC";
  const expired = now - keep.ageMs;
  const atMost = (count: number) => count === Infinity ? -1 : count;

  function fromLog(count: number): PublicationRow[] {
    if (after >= stored) return [];
    return store.all(
      `SELECT ${COLUMNS} FROM channel_publications AS row WHERE log = ? AND offset > ? AND offset < ? AND time > ?
       ORDER BY offset ${order} LIMIT ?`,
      [id, after, before, expired, atMost(count)],
    );
  }

  function fromTail(count: number): PublicationRow[] {
    const ids = ends.tail.ids(id, Math.max(after, settled), before);
    if (ids.length === 0) return [];
    if (reverse) ids.reverse();
    return store.all(
      `SELECT ${COLUMNS} FROM json_each(?) AS wanted CROSS JOIN channel_tail AS row ON row.id = wanted.value
       WHERE time > ? LIMIT ?`,
      [JSON.stringify(ids), expired, atMost(count)],
    );
  }

  const [first, second] = reverse ? [fromTail, fromLog] : [fromLog, fromTail];
  const rows = first(limit);
  if (rows.length < limit) rows.push(...second(limit - rows.length));
  return { publications: rows.map(toPublication), top };
}

function toPublication({ offset, time, json, bytes, info, tags }: PublicationRow): Publication {
  return {
    offset,
    time,
    payload: bytes === null ? Payload.fromValidJson(json) : Payload.fromBytes(bytes),
    ...(info !== null && { info: JSON.parse(info) }),
    ...(tags !== null && { tags: JSON.parse(tags) }),
  };
}
