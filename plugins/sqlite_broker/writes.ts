/**
 * What a publish writes, within a transaction.
 *
 * @module
 */

import type { BrokerPublishOptions, Draft, PublicationVersion, Published, Retention } from "../channels.ts";
import type { KeyValues, Transaction } from "../persistence.ts";
import { once } from "../shared/idempotency.ts";
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
  readonly epoch: string;
  readonly top: number;
  readonly version: number | null;
  readonly version_epoch: string | null;
}

/** Appends to a channel's log. */
export function append(
  tx: Transaction,
  channel: string,
  draft: Draft,
  keep: Retention,
  time: number,
): Appended {
  const log = tx.get<Appended>(
    `INSERT INTO channel_logs (channel, epoch, top, size, age_ms, used_at)
     VALUES (?1, (SELECT epoch FROM channel_epoch), 1, ?2, ?3, ?4)
     ON CONFLICT (channel) DO UPDATE SET top = top + 1, size = ?2, age_ms = ?3, used_at = ?4
     RETURNING id, epoch, top AS offset`,
    [channel, keep.size, keep.ageMs, time],
  )!;
  const { payload, info, tags } = draft;
  tx.run("INSERT INTO channel_publications VALUES (?, ?, ?, ?, ?, ?, ?)", [
    log.id,
    log.offset,
    time,
    payload.isBinary ? "" : payload.text,
    info === undefined ? null : JSON.stringify(info),
    tags === undefined ? null : JSON.stringify(tags),
    payload.isBinary ? payload.bytes : null,
  ]);
  if (log.offset % surplusOf(keep) === 0) cut(tx, log.id, log.offset - keep.size);
  return log;
}

/** Appends unless the idempotency key was used before, or the version is not newer. */
export function appendOnce(
  tx: Transaction,
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
    const { id, offset, epoch } = append(tx, channel, draft, keep, time);
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
  const latest = tx.get<LatestRow>(
    "SELECT epoch, top, version, version_epoch FROM channel_logs WHERE channel = ?",
    [channel],
  );
  if (latest === undefined || latest.version_epoch !== epoch || latest.version! < number) return undefined;
  return { offset: latest.top, epoch: latest.epoch, suppressed: "version" };
}

function surplusOf({ size }: Retention): number {
  return Math.min(SURPLUS.most, Math.max(SURPLUS.least, size >> 1));
}
