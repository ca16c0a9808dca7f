/**
 * Where the logs of channels end. It is kept in memory, so that a publish appends one row to one page: measured,
 * that saves a third of its time. In the file, the offset of a log's latest publication is its end, also if that is in the
 * tail. `channel_logs.top` lags behind, but is updated before that publication is removed.
 *
 * @module
 */

import type { Retention } from "../channels.ts";
import type { Reader, Transaction } from "../persistence.ts";
import { MOVE_SIZES, Moves, type MoveSizes } from "./moves.ts";
import { Tail } from "./tail.ts";

/** The end of a log. */
export interface LogEnd extends Retention {
  readonly id: number;
  readonly epoch: string;
  /** The offset of the latest publication. */
  top: number;
}

/** What is stored about a log. */
export interface FoundLog extends Omit<LogEnd, keyof Retention> {
  /** `channel_logs.top`. Rows of the tail with greater offsets count. */
  readonly settled: number;
  /** Where it ends without the tail. */
  readonly stored: number;
}

/** Several brokers may share a database. */
const endsOf = new WeakMap<object, LogEnds>();

/** Logs whose ends are kept. */
const MAX_KNOWN = 10_000;

/** The end of a log without the tail, in a statement about `channel_logs`. */
const TOP =
  "max(top, ifnull((SELECT max(offset) FROM channel_publications WHERE log = channel_logs.id), 0)) AS top";

const OPEN = `
  INSERT INTO channel_logs (channel, epoch, top, size, age_ms, used_at)
  VALUES (?1, (SELECT epoch FROM channel_epoch), 0, ?2, ?3, ?4)
  ON CONFLICT (channel) DO UPDATE SET size = ?2, age_ms = ?3, used_at = ?4
  RETURNING id, epoch, ${TOP}`;

const FIND = `SELECT id, epoch, top AS settled, ${TOP} FROM channel_logs WHERE channel = ?`;

/** The ends of the logs in one database. */
export class LogEnds {
  readonly #known = new Map<string, LogEnd>();
  readonly tail = new Tail();
  readonly moves: Moves;

  constructor(sizes: MoveSizes) {
    this.moves = new Moves(this.tail, sizes);
  }

  /** Returns the end of a channel's log, which begins if there is none. Set its `top` after an insert. */
  open(tx: Transaction, channel: string, { size, ageMs }: Retention, time: number): LogEnd {
    tx.onInvalid(this.#doubt);
    const known = this.#known.get(channel);
    if (known !== undefined && known.size === size && known.ageMs === ageMs) return known;
    this.tail.sync(tx);
    const found = tx.get<Pick<LogEnd, "id" | "epoch" | "top">>(OPEN, [channel, size, ageMs, time])!;
    if (this.#known.size >= MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!);
    const end = { ...found, top: Math.max(found.top, this.tail.endOf(found.id)), size, ageMs };
    this.#known.set(channel, end);
    return end;
  }

  /** Finds the rows of the tail. Otherwise the first publish or read does, which takes up to 20 ms. */
  load(tx: Transaction): void {
    tx.onInvalid(this.#doubt);
    this.tail.sync(tx);
  }

  /** Moves a part of the tail. */
  step(tx: Transaction): void {
    tx.onInvalid(this.#doubt);
    this.moves.step(tx);
  }

  /** Returns what is stored about a channel's log. */
  find(reader: Pick<Reader, "get">, channel: string): FoundLog | undefined {
    this.tail.sync(reader);
    const found = reader.get<FoundLog>(FIND, [channel]);
    return found && { ...found, stored: found.top, top: Math.max(found.top, this.tail.endOf(found.id)) };
  }

  /** Forgets the ends that were noted. */
  forget(): void {
    this.#known.clear();
  }

  readonly #doubt = (opened: boolean): void => {
    this.forget();
    this.tail.doubt(opened);
  };
}

/** Returns the ends of the logs in a database, the same each time. */
export function logEndsOf(store: object, sizes: MoveSizes = MOVE_SIZES): LogEnds {
  return endsOf.getOrInsertComputed(store, () => new LogEnds(sizes));
}
