/**
 * The tail: the table to which publications are appended, in the order of time, until they are moved to their logs in
 * `channel_publications`. So publications to thirty channels change one page instead of thirty, and a log gets those of
 * some seconds at once. Measured with 1,000 channels, a publication takes 0.6 of the CPU time.
 *
 * A row of the tail counts while its offset is greater than `channel_logs.top` of its log. What moves or removes
 * publications raises `top`, and the rows are deleted later, all up to an id. The rows that count are later than those of
 * the log in `channel_publications`.
 *
 * Here are the ids of the rows by log. They only help to find rows: `top` decides which of them count.
 *
 * @module
 */

import type { Reader, Transaction } from "../persistence.ts";

/** The rows of one log, in the order of their offsets, which is that of their ids. */
interface Rows {
  readonly ids: number[];
  readonly offsets: number[];
}

interface ScannedRow {
  readonly id: number;
  readonly log: number;
  readonly offset: number;
}

/** Three lists in JSON: measured, an object for each of 20,000 rows takes 58 ms instead of 9. */
const SCAN = `
  SELECT json_group_array(id) AS ids, json_group_array(log) AS logs, json_group_array(offset) AS offsets
  FROM (SELECT id, log, offset FROM channel_tail ORDER BY id)`;
/** For each time that a row has this length, it counts as one more. */
const ROW_LENGTH = 128;

const FIRST = "SELECT min(id) AS id FROM channel_tail";
const LAST = "SELECT id, log, offset FROM channel_tail ORDER BY id DESC LIMIT 1";

/** Where the rows of each log are in the tail of one database. */
export class Tail {
  readonly #logs = new Map<number, Rows>();
  #loaded = false;
  #doubtful = false;
  /** The ids of the first row and the last one. An id is not used twice, also if its row was undone. */
  #first = 1;
  #last = 0;
  /** The latest transaction that has changed the tail, and the first id that it can have used. */
  #commit: object = {};
  #begun = 1;

  /** Finds the rows again if something may have changed them. Call it before all else. */
  sync(reader: Pick<Reader, "get">): void {
    if (!this.#loaded) this.#load(reader);
    else if (this.#doubtful) this.#check(reader);
  }

  /** Notes that rows may have been undone, or added by another process; if `all`, that it may be another database. */
  doubt(all: boolean): void {
    this.#doubtful = true;
    if (all) this.#loaded = false;
  }

  /** Call before each change of the table. Notes which transaction it belongs to. */
  changing({ commit }: Pick<Transaction, "commit">): void {
    if (commit === this.#commit) return;
    this.#commit = commit;
    this.#begun = this.#last + 1;
  }

  /**
   * Notes the next row, which must be later than all of its log; returns its id. A long row takes the place of several, so
   * that the tail does not fill a small disk.
   */
  add(log: number, offset: number, length = 0): number {
    const id = this.#last += 1 + Math.floor(length / ROW_LENGTH);
    const rows = this.#logs.get(log);
    if (rows === undefined) this.#logs.set(log, { ids: [id], offsets: [offset] });
    else rows.ids.push(id), rows.offsets.push(offset);
    return id;
  }

  /** Forgets the rows that were deleted. Call it in a transaction that has not deleted any, since it may be undone. */
  trim(reader: Pick<Reader, "get">): void {
    this.#first = idOf(reader, FIRST) ?? this.#last + 1;
    for (const [log, { ids, offsets }] of this.#logs) {
      const deleted = lowerBound(ids, this.#first);
      if (deleted === ids.length) this.#logs.delete(log);
      else for (const list of [ids, offsets]) list.splice(0, deleted);
    }
  }

  /** The number of rows, with those that do not count any more. */
  get length(): number {
    return this.#last - this.#first + 1;
  }

  /** The id of the first row. */
  get first(): number {
    return this.#first;
  }

  /** The id of the last row that is committed. */
  get committed(): number {
    return this.#begun - 1;
  }

  /** The logs that have rows, in the order of their ids. */
  logs(): number[] {
    return [...this.#logs.keys()].sort((a, b) => a - b);
  }

  /** Whether a log has rows, even if they do not count any more. */
  has(log: number): boolean {
    return this.#logs.has(log);
  }

  /** The offset of a log's last row; 0 without rows. */
  endOf(log: number): number {
    return this.#logs.get(log)?.offsets.at(-1) ?? 0;
  }

  /** The ids of a log's rows whose offsets are between two others. */
  ids(log: number, after: number, before: number): number[] {
    const rows = this.#logs.get(log);
    if (rows === undefined) return [];
    return rows.ids.slice(lowerBound(rows.offsets, after + 1), lowerBound(rows.offsets, before));
  }

  /** If another process has added rows, the last row is one of them. Finding all rows again would take up to 20 ms. */
  #check(reader: Pick<Reader, "get">): void {
    const last = reader.get<ScannedRow>(LAST);
    if (last === undefined || this.#hasNoted(last)) this.#forgetUndone(last?.id ?? 0);
    else this.#load(reader);
  }

  #hasNoted({ id, log, offset }: ScannedRow): boolean {
    const [noted] = this.ids(log, offset - 1, offset + 1);
    return noted === id;
  }

  /** Only rows that the latest transaction has added can be undone. What it has deleted may come back. */
  #forgetUndone(last: number): void {
    const kept = Math.max(this.committed, last);
    for (const [log, { ids, offsets }] of this.#logs) {
      if (ids.at(-1)! <= kept) continue;
      const count = lowerBound(ids, kept + 1);
      if (count === 0) this.#logs.delete(log);
      else ids.length = offsets.length = count;
    }
    this.#doubtful = false;
  }

  #load(reader: Pick<Reader, "get">): void {
    this.#logs.clear();
    const lists = reader.get<Record<"ids" | "logs" | "offsets", string>>(SCAN)!;
    const [ids, logs, offsets] = [lists.ids, lists.logs, lists.offsets].map((list): number[] =>
      JSON.parse(list)
    );
    this.#first = ids![0] ?? 1;
    for (const [i, id] of ids!.entries()) {
      this.#last = id - 1;
      this.add(logs![i]!, offsets![i]!);
    }
    if (ids!.length === 0) this.#last = 0;
    this.#begun = this.#last + 1;
    this.#loaded = true;
    this.#doubtful = false;
  }
}

/** The index of the first number that is not less than another, in a list in ascending order. */
function lowerBound(list: readonly number[], least: number): number {
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (list[middle]! < least) from = middle + 1;
    else to = middle;
  }
  return from;
}

function idOf(reader: Pick<Reader, "get">, sql: string): number | null {
  return reader.get<{ id: number | null }>(sql)!.id;
}
