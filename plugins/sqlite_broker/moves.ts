/**
 * Moves publications from the tail to their logs, in small pieces.
 *
 * @module
 */

import type { Reader, Transaction } from "../persistence.ts";
import { cut, surplusOf } from "./cuts.ts";
import type { Tail } from "./tail.ts";

/** When to move, and how much at once. */
export interface MoveSizes {
  /** From this number of rows on, the tail is moved. */
  readonly rows: number;
  /** After how many new rows there is a step while it is moved. */
  readonly every: number;
  /** The rows to move or to delete in one step. */
  readonly moved: number;
  readonly deleted: number;
}

/** With these, the rows move faster than others are added, and a step takes about a millisecond. */
export const MOVE_SIZES: MoveSizes = { rows: 20_000, every: 64, moved: 128, deleted: 500 };

/** How long publications stay in the tail of a server that has little to do. */
const STAY_MS = 5_000;

const LOG = "SELECT top, size FROM channel_logs WHERE id = ?";
const MOVE = `
  INSERT OR IGNORE INTO channel_publications
  SELECT log, offset, time, row.json, info, tags, bytes
  FROM json_each(?) AS wanted CROSS JOIN channel_tail AS row ON row.id = wanted.value`;
const MOVED = `
  UPDATE channel_logs SET top = ?2, used_at = max(used_at, ifnull((SELECT time FROM channel_tail WHERE id = ?3), 0))
  WHERE id = ?1`;

/** Whatever was noted here, only rows that do not count any more are deleted. */
const DELETE = `
  DELETE FROM channel_tail WHERE id >= ? AND id <= ?
  AND NOT EXISTS (SELECT 1 FROM channel_logs WHERE id = channel_tail.log AND top < channel_tail.offset)`;

const OLDEST = "SELECT time FROM channel_tail ORDER BY id LIMIT 1";

/** The logs are moved one by one, since a log's rows are on the same pages. Then the rows up to `last` are deleted. */
interface Round {
  readonly logs: readonly number[];
  /** The logs that were moved, and the first row to delete. */
  moved: number;
  first: number;
  readonly last: number;
  /** The transaction that has deleted rows. */
  deletedIn: object | undefined;
}

/** Moves the tail of one database. */
export class Moves {
  readonly #tail: Tail;
  readonly #sizes: MoveSizes;
  #round: Round | undefined;
  #added = 0;

  constructor(tail: Tail, sizes: MoveSizes) {
    this.#tail = tail;
    this.#sizes = sizes;
  }

  /** Whether there is something to move now because the tail is long. */
  get urgent(): boolean {
    return this.#round !== undefined || this.#tail.length > this.#sizes.rows;
  }

  /** Whether there is something to move now. */
  due(reader: Pick<Reader, "get">, now: number): boolean {
    if (this.urgent) return true;
    const oldest = reader.get<{ time: number }>(OLDEST);
    return oldest !== undefined && oldest.time <= now - STAY_MS;
  }

  /** Call after a row was added to the tail. Moves faster than rows are added. */
  added(tx: Transaction): void {
    if (this.urgent && ++this.#added % this.#sizes.every === 0) this.step(tx);
  }

  /** Moves a part, or deletes what was moved. */
  step(tx: Transaction): void {
    const tail = this.#tail;
    tail.sync(tx);
    tail.changing(tx);
    const round = this.#round ??= {
      first: tail.first,
      last: tail.committed,
      logs: tail.logs(),
      moved: 0,
      deletedIn: undefined,
    };
    if (round.moved < round.logs.length) this.#move(tx, round);
    else if (round.first <= round.last) this.#delete(tx, round);
    else if (round.deletedIn !== tx.commit) {
      tail.trim(tx);
      this.#round = undefined;
    }
  }

  /** Moves all of one log. */
  moveLog(tx: Transaction, log: number): void {
    const ids = this.#settle(tx, log);
    if (ids.length > 0) tx.run(MOVE, [JSON.stringify(ids)]);
  }

  #move(tx: Transaction, round: Round): void {
    const ids: number[] = [];
    const next = round.logs.slice(round.moved, round.moved + this.#sizes.moved);
    for (const log of next) {
      ids.push(...this.#settle(tx, log));
      round.moved++;
      if (ids.length >= this.#sizes.moved) break;
    }
    if (ids.length > 0) tx.run(MOVE, [JSON.stringify(ids)]);
  }

  #delete(tx: Transaction, round: Round): void {
    const next = round.first + this.#sizes.deleted;
    tx.run(DELETE, [round.first, Math.min(round.last, next - 1)]);
    round.first = next;
    round.deletedIn = tx.commit;
  }

  /** Ends the log after the rows in the tail, and returns the ids of those to move. */
  #settle(tx: Transaction, log: number): number[] {
    const end = this.#tail.endOf(log);
    const found = tx.get<{ top: number; size: number }>(LOG, [log]);
    if (found === undefined || end <= found.top) return [];
    const { top, size } = found;
    const trimmed = end - size;
    const surplus = surplusOf(size);
    const due = trimmed > top ||
      (trimmed > 0 && Math.floor(end / surplus) > Math.floor(top / surplus));
    // What exceeds the log's size is not moved, unless there would be a gap after what remains.
    const all = !due || cut(tx, log, trimmed);
    const ids = this.#tail.ids(log, all ? top : Math.max(top, trimmed), end + 1);
    tx.run(MOVED, [log, end, ids.at(-1)!]);
    return ids;
  }
}
