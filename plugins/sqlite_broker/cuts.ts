/**
 * Removes the oldest publications of a log.
 *
 * @module
 */

import type { Transaction } from "../persistence.ts";

/** A log is cut when it is half as long again as its size, within these bounds. Readers do not see the surplus. */
const SURPLUS = { least: 8, most: 32 };

/** The publications removed in one transaction. More would delay other writes. */
const CUT_AT_ONCE = 1_000;

/** Two statements: one DELETE with a subquery takes twice as long. */
const OLDEST = "SELECT min(offset) AS oldest FROM channel_publications WHERE log = ?";
const CUT = "DELETE FROM channel_publications WHERE log = ? AND offset <= ?";

const SETTLE = `
  UPDATE channel_logs SET top = latest.offset, used_at = latest.time FROM (
    SELECT offset, time FROM channel_publications WHERE log = ?1 ORDER BY offset DESC LIMIT 1
  ) AS latest
  WHERE id = ?1 AND top < latest.offset`;

/** Removes a log's oldest publications up to an offset; returns `true` if some of them remain. */
export function cut(tx: Transaction, log: number, to: number): boolean {
  const { oldest } = tx.get<{ oldest: number | null }>(OLDEST, [log])!;
  if (oldest === null) return false;
  const last = Math.min(to, oldest + CUT_AT_ONCE - 1);
  settleLog(tx, log);
  tx.run(CUT, [log, last]);
  return last < to;
}

/** Stores the end of a log, before its latest publication in `channel_publications` is removed. */
export function settleLog(tx: Transaction, log: number): void {
  tx.run(SETTLE, [log]);
}

/** A log is cut at the multiples of this offset. */
export function surplusOf(size: number): number {
  return Math.min(SURPLUS.most, Math.max(SURPLUS.least, size >> 1));
}
