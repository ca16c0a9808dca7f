/**
 * The saver: brings what changes in a store to its persister, and lets nobody know of it before it is there.
 *
 * @module
 */

import type { MergeableStore } from "tinybase";
import { type Clock, type Log, messageOf } from "../../../core/mod.ts";
import { Marks, stampsOf } from "./marks.ts";
import { keyOf, type PathPersister, textOf } from "./parts.ts";
import { bytesOf } from "./sizes.ts";

/** What a saver needs. */
export interface SaverOptions {
  readonly store: MergeableStore;
  readonly persister: PathPersister;
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

/** Answers that wait for storage which does not work; those who asked have given up long before. */
const MAX_WAITING = 1_000;

/**
 * Saves marked rows and values, those of one turn in one go; while that goes on, the next are gathered.
 *
 * When saving fails, the marks stay, and it is tried again and again: the store lives on in memory, its clients go
 * on exchanging among themselves, but the server says nothing that would have them believe their changes are safe.
 */
export class Saver {
  readonly #options: SaverOptions;
  readonly #dirty = new Marks();
  readonly #sizes = new Map<string, number>();
  #size = 0;
  #merged = 0;
  #waiting: (() => void)[] = [];
  #saving: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;
  #failures = 0;
  #scheduled = false;
  #cancelRetry = () => {};

  constructor(options: SaverOptions) {
    this.#options = options;
  }

  /** What is marked is to be saved. */
  get dirty(): Marks {
    return this.#dirty;
  }

  /** Bytes of all parts, and of the messages whose changes are not among them yet. */
  get size(): number {
    return this.#dirty.empty ? this.#size : this.#size + this.#merged;
  }

  /** Counts a part that was loaded. */
  loaded(key: string, text: string): void {
    this.#resize(key, text);
  }

  /** Counts a message whose changes were merged, until they are counted as parts. */
  merged(bytes: number): void {
    this.#merged += bytes;
  }

  /** Saves what is marked at the end of this turn. */
  schedule(): void {
    if (this.#scheduled || this.#saving !== undefined || this.#failure !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#saving === undefined && !this.#dirty.empty) this.#save();
    });
  }

  /** Calls back when all that has changed until now is stored; at once if it is. */
  afterSaved(run: () => void): void {
    if (this.#dirty.empty && this.#saving === undefined && this.#waiting.length === 0) return run();
    if (this.#waiting.length >= MAX_WAITING) this.#waiting.shift();
    this.#waiting.push(run);
  }

  /** Resolves when everything is stored; rejects when that is tried and fails. */
  async flush(): Promise<void> {
    while (!this.#dirty.empty || this.#saving !== undefined) {
      if (this.#saving === undefined) this.#save();
      await this.#saving;
      if (this.#failure !== undefined) throw this.#failure.error;
    }
  }

  /** Ends it; what is not stored by now is given up. */
  async stop(): Promise<void> {
    this.#cancelRetry();
    this.#dirty.clear();
    this.#waiting = [];
    await this.#saving;
    await this.#options.persister.close?.();
  }

  #save(): void {
    this.#cancelRetry();
    this.#saving = this.#saveAll();
  }

  async #saveAll(): Promise<void> {
    const marks = new Marks();
    marks.addAll(this.#dirty);
    this.#dirty.clear();
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      await this.#persist(marks);
      this.#saving = undefined;
      this.#succeeded(waiting);
    } catch (error) {
      this.#saving = undefined;
      this.#dirty.addAll(marks);
      this.#waiting = [...waiting, ...this.#waiting].slice(-MAX_WAITING);
      this.#failed(error);
    }
  }

  async #persist(marks: Marks): Promise<void> {
    await this.#options.persister.save(this.#parts(marks));
  }

  #succeeded(waiting: (() => void)[]): void {
    const { log, path } = this.#options;
    if (this.#failure !== undefined) log.info("a path can be stored again", { path });
    this.#failure = undefined;
    this.#failures = 0;
    for (const run of waiting) run();
    if (!this.#dirty.empty) return this.schedule();
    for (const run of this.#waiting.splice(0)) run();
  }

  #failed(error: unknown): void {
    const { log, path, clock } = this.#options;
    const inMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++);
    log.error(`a path could not be stored, next try in ${inMs} ms: ${messageOf(error)}`, { path, error });
    this.#failure = { error };
    this.#cancelRetry = clock.after(inMs, () => {
      if (this.#saving === undefined && !this.#dirty.empty) this.#save();
    });
  }

  #parts(marks: Marks): Map<string, string> {
    const [[tables, tablesHlc = ""], [values, valuesHlc = ""]] = stampsOf(this.#options.store, marks);
    const parts = new Map<string, string>();
    for (const [tableId, [rows, tableHlc = ""]] of Object.entries(tables)) {
      for (const [rowId, row] of Object.entries(rows)) parts.set(keyOf(["t", tableId, rowId]), textOf(row));
      if (tableHlc !== "") parts.set(keyOf(["t", tableId]), tableHlc);
    }
    for (const [valueId, value] of Object.entries(values)) parts.set(keyOf(["v", valueId]), textOf(value));
    if (tablesHlc !== "") parts.set(keyOf(["t"]), tablesHlc);
    if (valuesHlc !== "") parts.set(keyOf(["v"]), valuesHlc);
    parts.set(keyOf(["h"]), JSON.stringify(this.#options.store.getMergeableContentHashes()));
    for (const [key, text] of parts) this.#resize(key, text);
    this.#merged = 0;
    return parts;
  }

  #resize(key: string, text: string): void {
    const size = bytesOf(key) + bytesOf(text);
    this.#size += size - (this.#sizes.get(key) ?? 0);
    this.#sizes.set(key, size);
  }
}
