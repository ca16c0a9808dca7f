/**
 * The table of scheduled publications.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Migration, Reader, Transaction } from "../persistence.ts";
import { Payload } from "../shared/payload.ts";
import type { ScheduledOptions, ScheduleQuery } from "./types.ts";

/** Its name hides it from the SQL of clients. */
export const MIGRATIONS: readonly Migration[] = [`
  CREATE TABLE plugboard_schedule (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    id TEXT NOT NULL,
    owner TEXT,
    steady INTEGER NOT NULL,
    planned INTEGER NOT NULL,
    due INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    every TEXT,
    timezone TEXT,
    key TEXT NOT NULL,
    run INTEGER NOT NULL,
    size INTEGER NOT NULL,
    options TEXT NOT NULL,
    json TEXT NOT NULL,
    bytes BLOB,
    UNIQUE (channel, id)
  ) STRICT;
  CREATE INDEX plugboard_schedule_due ON plugboard_schedule (steady, due);
  CREATE INDEX plugboard_schedule_owner ON plugboard_schedule (owner, size);
  CREATE INDEX plugboard_schedule_channel ON plugboard_schedule (channel);
  CREATE INDEX plugboard_schedule_every ON plugboard_schedule (seq) WHERE every IS NOT NULL;
  CREATE TABLE plugboard_schedule_clock (skew INTEGER NOT NULL) STRICT;
  INSERT INTO plugboard_schedule_clock VALUES (0);
`];

/** The columns of a scheduled publication, without its content. */
export interface EntryRow {
  readonly seq: number;
  readonly id: string;
  readonly owner: string | null;
  readonly channel: string;
  /** 1 if the times are by the steady clock, 0 if by the wall clock. */
  readonly steady: 0 | 1;
  /** When it should be published. */
  readonly planned: number;
  /** When to try: later than planned after a failure. */
  readonly due: number;
  /** How often it has failed. */
  readonly tries: number;
  readonly every: string | null;
  readonly timezone: string | null;
  readonly size: number;
}

/** A publication that is due. */
export interface DueRow extends EntryRow {
  readonly json: string;
  readonly bytes: Uint8Array | null;
  readonly options: string;
  /** Identifies each of its publications, with `run`. */
  readonly key: string;
  readonly run: number;
}

/** A publication to store. */
export type NewEntry =
  & Omit<EntryRow, "seq" | "due" | "tries" | "size">
  & { readonly payload: Payload; readonly options: string };

/** What counts for the limits. */
export type Counted = Pick<EntryRow, "owner" | "size">;

const LISTED = "seq, id, owner, channel, steady, planned, due, tries, every, timezone, size";

/** The memory that an entry takes besides its texts. */
const ENTRY_SIZE = 200;

/** Returns how much of the limit an entry takes. */
export function sizeOf({ id, channel, options, payload }: NewEntry): number {
  return ENTRY_SIZE + id.length + channel.length + options.length + payload.byteLength;
}

/** What was stored. */
export interface Put {
  readonly seq: number;
  readonly planned: number;
  /** The entry that was there before. */
  readonly replaced: EntryRow | undefined;
}

/** Stores an entry, in the place of one with the same id. */
export function put(tx: Transaction, entry: NewEntry): Put {
  const { id, owner, channel, payload, options, steady, every, timezone } = entry;
  const sql = `SELECT ${LISTED} FROM plugboard_schedule WHERE channel = ? AND id = ?`;
  const replaced = tx.get<EntryRow>(sql, [channel, id]);
  if (replaced !== undefined && replaced.owner !== owner) {
    throw new PlugboardError("conflict", `The id ${JSON.stringify(id)} belongs to another user`);
  }
  // An app may declare the same recurring publication at each start.
  const same = every !== null && replaced?.every === every && replaced.timezone === timezone;
  const planned = same ? replaced.planned : entry.planned;
  if (replaced !== undefined) remove(tx, replaced.seq);
  const { lastId } = tx.run(
    `INSERT INTO plugboard_schedule
      (id, owner, channel, json, bytes, options, steady, planned, due, tries, every, timezone, key, run, size)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, 0, ?9, ?10, ?11, 1, ?12)`,
    [
      id,
      owner,
      channel,
      payload.isBinary ? "" : payload.text,
      payload.isBinary ? payload.bytes : null,
      options,
      steady,
      planned,
      every,
      timezone,
      crypto.randomUUID(),
      sizeOf(entry),
    ],
  );
  return { seq: Number(lastId), planned, replaced };
}

/** Returns the next entries that are due by one of the clocks, in order. */
export function dueBy(reader: Reader, steady: 0 | 1, time: number, limit: number): DueRow[] {
  return reader.all<DueRow>(
    `SELECT ${LISTED}, json, bytes, options, key, run FROM plugboard_schedule
     WHERE steady = ? AND due <= ? ORDER BY due, seq LIMIT ?`,
    [steady, time, limit],
  );
}

/** Removes an entry; returns it if it was there. */
export function remove(tx: Transaction, seq: number): Counted | undefined {
  return tx.get<Counted>("DELETE FROM plugboard_schedule WHERE seq = ? RETURNING owner, size", [seq]);
}

/** Removes an entry by its id. */
export function removeById(
  tx: Transaction,
  channel: string,
  id: string,
  owner: string | undefined,
): Counted | undefined {
  return tx.get<Counted>(
    `DELETE FROM plugboard_schedule WHERE channel = ?1 AND id = ?2 AND (?3 IS NULL OR owner = ?3)
     RETURNING owner, size`,
    [channel, id, owner ?? null],
  );
}

/** Plans the next publication of a recurring entry. */
export function planNext(tx: Transaction, seq: number, planned: number): void {
  const sql = "UPDATE plugboard_schedule SET planned = ?1, due = ?1, tries = 0, run = run + 1 WHERE seq = ?2";
  tx.run(sql, [planned, seq]);
}

/** Moves an entry after a failure. */
export function retryAt(tx: Transaction, seq: number, due: number): void {
  tx.run("UPDATE plugboard_schedule SET due = ?, tries = tries + 1 WHERE seq = ?", [due, seq]);
}

/** Returns some recurring entries after another one. */
export function recurring(reader: Reader, after: number, limit: number): EntryRow[] {
  return reader.all<EntryRow>(
    `SELECT ${LISTED} FROM plugboard_schedule WHERE every IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?`,
    [after, limit],
  );
}

/** Returns a page of entries. */
export function list(reader: Reader, { channel, owner, after, limit = 100 }: ScheduleQuery): EntryRow[] {
  const conditions = ["seq > ?"];
  const params: (string | number)[] = [after ?? 0];
  if (channel !== undefined) conditions.push("channel = ?") && params.push(channel);
  if (owner !== undefined) conditions.push("owner = ?") && params.push(owner);
  const sql = `SELECT ${LISTED} FROM plugboard_schedule WHERE ${
    conditions.join(" AND ")
  } ORDER BY seq LIMIT ?`;
  return reader.all<EntryRow>(sql, [...params, limit]);
}

/** Returns what each owner has. */
export function totals(reader: Reader): { owner: string | null; entries: number; size: number }[] {
  return reader.all(
    "SELECT owner, count(*) AS entries, sum(size) AS size FROM plugboard_schedule GROUP BY owner",
  );
}

/** Returns the number of the latest entry. */
export function lastSeq(reader: Reader): number {
  return reader.get<{ seq: number }>("SELECT coalesce(max(seq), 0) AS seq FROM plugboard_schedule")!.seq;
}

/** Returns how far the wall clock was set in total. */
export function storedSkew(reader: Reader): number {
  return reader.get<{ skew: number }>("SELECT skew FROM plugboard_schedule_clock")!.skew;
}

/** Stores how far the wall clock was set in total. */
export function storeSkew(tx: Transaction, skew: number): void {
  tx.run("UPDATE plugboard_schedule_clock SET skew = ?", [skew]);
}

/** Returns what to publish. */
export function contentOf({ json, bytes, options }: DueRow): { payload: Payload; options: ScheduledOptions } {
  return {
    payload: bytes === null ? Payload.fromValidJson(json) : Payload.fromBytes(bytes),
    options: JSON.parse(options),
  };
}
