/**
 * What a publish writes, within a transaction.
 *
 * @module
 */

import type { BrokerPublishOptions, Draft, PublicationVersion, Published, Retention } from "../channels.ts";
import type { KeyValues, Transaction } from "../persistence.ts";
import { once } from "../shared/idempotency.ts";
import { cut, surplusOf } from "./cuts.ts";
import type { LogEnds } from "./log_ends.ts";

/** What a publish wrote. */
export type Stored = Omit<Published, "receivers">;

/** From this number of characters and bytes on, a publication fills much of a page, and is not written twice. */
const LONG = 1_024;

/** At the multiples of this offset, a log's rows are moved from the tail. */
const MOVE_EVERY = 256;

const INSERT = "INSERT INTO channel_publications VALUES (?, ?, ?, ?, ?, ?, ?)";

interface Appended {
  readonly id: number;
  readonly epoch: string;
  readonly offset: number;
}

interface LatestRow {
  readonly version: number | null;
  readonly version_epoch: string | null;
}

/** Appends to a channel's log. */
export function append(
  tx: Transaction,
  ends: LogEnds,
  channel: string,
  draft: Draft,
  keep: Retention,
  time: number,
): Appended {
  const log = ends.open(tx, channel, keep, time);
  const { id, epoch } = log;
  const offset = log.top + 1;
  const { payload } = draft;
  const json = payload.isBinary ? "" : payload.text;
  const bytes = payload.isBinary ? payload.bytes : null;
  const info = draft.info === undefined ? null : JSON.stringify(draft.info);
  const tags = draft.tags === undefined ? null : JSON.stringify(draft.tags);
  const { tail, moves } = ends;
  const length = json.length + (bytes?.length ?? 0) + (info?.length ?? 0) + (tags?.length ?? 0);
  if (length >= LONG) {
    if (tail.has(id)) moves.moveLog(tx, id);
    tx.run(INSERT, [id, offset, time, json, info, tags, bytes]);
    if (offset % surplusOf(keep.size) === 0) cut(tx, id, offset - keep.size);
  } else {
    if (tail.has(id) && tail.endOf(id) < offset - 1) moves.moveLog(tx, id);
    tail.changing(tx);
    tx.append("channel_tail", [tail.add(id, offset, length), id, offset, time, json, info, tags, bytes]);
    if (offset % MOVE_EVERY === 0) moves.moveLog(tx, id);
    moves.added(tx);
  }
  log.top = offset;
  return { id, epoch, offset };
}

/** Appends unless the idempotency key was used before, or the version is not newer. */
export function appendOnce(
  tx: Transaction,
  ends: LogEnds,
  keys: KeyValues<Stored>,
  channel: string,
  draft: Draft,
  { keep, version, repeatable }: BrokerPublishOptions,
  time: number,
): Stored {
  function write(): Stored {
    if (keep === undefined) return { offset: 0, epoch: "" };
    const newer = version && notOlder(tx, ends, channel, version);
    if (newer !== undefined) return newer;
    const { id, offset, epoch } = append(tx, ends, channel, draft, keep, time);
    if (version !== undefined) {
      const sql = "UPDATE channel_logs SET version = ?, version_epoch = ? WHERE id = ?";
      tx.run(sql, [version.number, version.epoch, id]);
    }
    return { offset, epoch };
  }
  if (repeatable === undefined) return write();
  let repeated = true;
  const first = once(keys.within(tx), repeatable, () => {
    repeated = false;
    return write();
  });
  return repeated ? { ...first, suppressed: "idempotency" } : first;
}

/** Returns the position of a log whose version is not older. */
function notOlder(
  tx: Transaction,
  ends: LogEnds,
  channel: string,
  { number, epoch }: PublicationVersion,
): Stored | undefined {
  const sql = "SELECT version, version_epoch FROM channel_logs WHERE channel = ?";
  const latest = tx.get<LatestRow>(sql, [channel]);
  if (latest === undefined || latest.version_epoch !== epoch || latest.version! < number) return undefined;
  const { top, epoch: ownEpoch } = ends.find(tx, channel)!;
  return { offset: top, epoch: ownEpoch, suppressed: "version" };
}
