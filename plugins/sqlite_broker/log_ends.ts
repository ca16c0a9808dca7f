/**
 * Where the logs of channels end. It is kept in memory, so that a publish is one statement that changes one page: measured,
 * that saves a third of its time. In the file, the offset of a log's latest publication is its end. `channel_logs.top`
 * lags behind, but is updated before that publication is removed.
 *
 * @module
 */

import type { Retention } from "../channels.ts";
import type { Reader, Transaction } from "../persistence.ts";

/** The end of a log. */
export interface LogEnd extends Retention {
  readonly id: number;
  readonly epoch: string;
  /** The offset of the latest publication. */
  top: number;
}

/** Logs whose ends are kept. */
const MAX_KNOWN = 10_000;

/** The end of a log, in a statement about `channel_logs`. */
const TOP =
  "max(top, ifnull((SELECT max(offset) FROM channel_publications WHERE log = channel_logs.id), 0)) AS top";

const OPEN = `
  INSERT INTO channel_logs (channel, epoch, top, size, age_ms, used_at)
  VALUES (?1, (SELECT epoch FROM channel_epoch), 0, ?2, ?3, ?4)
  ON CONFLICT (channel) DO UPDATE SET size = ?2, age_ms = ?3, used_at = ?4
  RETURNING id, epoch, ${TOP}`;

const FIND = `SELECT id, epoch, ${TOP} FROM channel_logs WHERE channel = ?`;

const SETTLE = `
  UPDATE channel_logs SET top = latest.offset, used_at = latest.time FROM (
    SELECT offset, time FROM channel_publications WHERE log = ?1 ORDER BY offset DESC LIMIT 1
  ) AS latest
  WHERE id = ?1 AND top < latest.offset`;

/** The ends of the logs in one database. */
export class LogEnds {
  readonly #known = new Map<string, LogEnd>();

  /** Returns the end of a channel's log, which begins if there is none. Set its `top` after an insert. */
  open(tx: Transaction, channel: string, { size, ageMs }: Retention, time: number): LogEnd {
    tx.onInvalid(this.forget);
    const known = this.#known.get(channel);
    if (known !== undefined && known.size === size && known.ageMs === ageMs) return known;
    const found = tx.get<Pick<LogEnd, "id" | "epoch" | "top">>(OPEN, [channel, size, ageMs, time])!;
    if (this.#known.size >= MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!);
    const end = { ...found, size, ageMs };
    this.#known.set(channel, end);
    return end;
  }

  /** Forgets all. */
  readonly forget = (): void => this.#known.clear();
}

/** Returns the end of a channel's log. */
export function findLog(
  reader: Pick<Reader, "get">,
  channel: string,
): Omit<LogEnd, keyof Retention> | undefined {
  return reader.get(FIND, [channel]);
}

/** Stores the end of a log, before its latest publication is removed. */
export function settleLog(tx: Transaction, log: number): void {
  tx.run(SETTLE, [log]);
}
