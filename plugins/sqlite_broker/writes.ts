/**
 * What a publish writes, within a transaction.
 *
 * @module
 */

import type { BrokerPublishOptions, Draft, PublicationVersion, Published, Retention } from "../channels.ts";
import type { KeyValues, Transaction } from "../persistence.ts";
import { once } from "../shared/idempotency.ts";
import { findLog, type LogEnds } from "./log_ends.ts";
import { cut } from "./sweep.ts";

/** What a publish wrote. */
export type Stored = Omit<Published, "receivers">;

/** A log is cut when it is half as long again as its size, within these bounds. Readers do not see the surplus. */
const SURPLUS = { least: 8, most: 32 };

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
  const { payload, info, tags } = draft;
  tx.run("INSERT INTO channel_publications VALUES (?, ?, ?, ?, ?, ?, ?)", [
    id,
    offset,
    time,
    payload.isBinary ? "" : payload.text,
    info === undefined ? null : JSON.stringify(info),
    tags === undefined ? null : JSON.stringify(tags),
    payload.isBinary ? payload.bytes : null,
  ]);
  log.top = offset;
  if (offset % surplusOf(keep) === 0) cut(tx, id, offset - keep.size);
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
    const newer = version && notOlder(tx, channel, version);
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
  channel: string,
  { number, epoch }: PublicationVersion,
): Stored | undefined {
  const sql = "SELECT version, version_epoch FROM channel_logs WHERE channel = ?";
  const latest = tx.get<LatestRow>(sql, [channel]);
  if (latest === undefined || latest.version_epoch !== epoch || latest.version! < number) return undefined;
  const { top, epoch: ownEpoch } = findLog(tx, channel)!;
  return { offset: top, epoch: ownEpoch, suppressed: "version" };
}

function surplusOf({ size }: Retention): number {
  return Math.min(SURPLUS.most, Math.max(SURPLUS.least, size >> 1));
}
