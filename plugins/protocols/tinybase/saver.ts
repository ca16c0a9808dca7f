import type { MergeableStore } from "tinybase";
import { type Clock, type Log, messageOf } from "../../../core/mod.ts";
import type { ServerSide } from "../../paths.ts";
import { backoffMs } from "../../shared/backoff.ts";
import { ChangedKeys, stampsOf } from "./changed_keys.ts";
import { type ContentHashes, encodeStamp } from "./messages.ts";
import { keyOf, type PathPersister } from "./parts.ts";
import type { StoredContent } from "./stored_content.ts";

/** What a {@linkcode Saver} needs. */
export interface SaverOptions {
  readonly side: Pick<ServerSide, "path">;
  readonly persister: PathPersister;
  readonly clock: Clock;
  readonly log: Log;
}

/** Maximum callbacks that wait for a save. When storage fails for long, their clients have timed out anyway. */
const MAX_CALLBACKS = 1_000;

/**
 * Saves the changed rows and values of a store, all of one turn of the event loop in one call.
 *
 * A failed save is retried. Meanwhile the store works in memory, and clients exchange changes, but the server sends
 * nothing that would tell a client that its changes are stored.
 */
export class Saver {
  /** What has changed since the last save. */
  dirty = new ChangedKeys();
  readonly #store: MergeableStore;
  readonly #content: StoredContent;
  readonly #options: SaverOptions;
  #unsavedBytes = 0;
  #callbacks: (() => void)[] = [];
  #saving: Promise<void> | undefined;
  #error: unknown;
  /** How many saves have failed since the last one that succeeded. */
  #failures = 0;
  #scheduled = false;
  #cancelRetry = () => {};

  /** `content` receives what is saved. */
  constructor(store: MergeableStore, content: StoredContent, options: SaverOptions) {
    this.#store = store;
    this.#content = content;
    this.#options = options;
  }

  /** Bytes of the content, and of the messages whose changes are not saved. */
  get size(): number {
    return this.dirty.empty ? this.#content.size : this.#content.size + this.#unsavedBytes;
  }

  /** Counts a message whose changes were merged, until they are saved. */
  merged(bytes: number): void {
    this.#unsavedBytes += bytes;
  }

  /** Saves changes at the end of this turn of the event loop. */
  schedule(): void {
    if (this.#scheduled || this.#saving !== undefined || this.#failures > 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#save();
    });
  }

  /** Calls back when all changes so far are saved; synchronously if they are. */
  afterSaved(callback: () => void): void {
    if (this.dirty.empty && this.#saving === undefined && this.#callbacks.length === 0) return callback();
    if (this.#callbacks.length >= MAX_CALLBACKS) this.#callbacks.shift();
    this.#callbacks.push(callback);
  }

  /** Resolves when all changes are saved; rejects if a save fails. */
  async flush(): Promise<void> {
    while (!this.dirty.empty || this.#saving !== undefined) {
      this.#save();
      await this.#saving;
      if (this.#failures > 0) throw this.#error;
    }
  }

  /** Stops saving; unsaved changes are lost. */
  async stop(): Promise<void> {
    this.dirty = new ChangedKeys();
    this.#callbacks = [];
    await this.#saving;
    this.#cancelRetry();
    await this.#options.persister.close?.();
  }

  /** Saves changes, unless it is saving or there are none. */
  #save(): void {
    if (this.#saving !== undefined || this.dirty.empty) return;
    this.#cancelRetry();
    this.#saving = this.#saveDirty();
  }

  async #saveDirty(): Promise<void> {
    const keys = this.dirty;
    this.dirty = new ChangedKeys();
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    try {
      // A save that throws at once fails after `#saving` is set.
      await Promise.try(() => this.#options.persister.save(this.#parts(keys)));
      this.#saving = undefined;
      this.#succeeded(callbacks);
    } catch (error) {
      this.#saving = undefined;
      this.dirty.addAll(keys);
      this.#callbacks = [...callbacks, ...this.#callbacks].slice(-MAX_CALLBACKS);
      this.#failed(error);
    }
  }

  #succeeded(callbacks: (() => void)[]): void {
    const { log, side: { path } } = this.#options;
    if (this.#failures > 0) log.info("a path can be stored again", { path });
    this.#failures = 0;
    for (const callback of callbacks) callback();
    if (!this.dirty.empty) return this.schedule();
    for (const callback of this.#callbacks.splice(0)) callback();
  }

  #failed(error: unknown): void {
    const { log, side: { path }, clock } = this.#options;
    const retryMs = backoffMs(this.#failures++);
    log.error(`a path could not be stored, next try in ${retryMs} ms: ${messageOf(error)}`, { path, error });
    this.#error = error;
    this.#cancelRetry = clock.after(retryMs, () => this.#save());
  }

  #parts(keys: ChangedKeys): Map<string, string> {
    const [[tables, tablesHlc = ""], [values, valuesHlc = ""]] = stampsOf(this.#store, keys);
    const content = this.#content;
    const parts = new Map<string, string>();
    for (const [tableId, [rows, tableHlc = ""]] of Object.entries(tables)) {
      for (const [rowId, row] of Object.entries(rows)) {
        const text = encodeStamp(row);
        content.setRow(tableId, rowId, text);
        parts.set(keyOf(["t", tableId, rowId]), text);
      }
      if (tableHlc === "") continue;
      content.setTablesHlc(tableHlc, tableId);
      parts.set(keyOf(["t", tableId]), tableHlc);
    }
    for (const [valueId, value] of Object.entries(values)) {
      const text = encodeStamp(value);
      content.setValue(valueId, text);
      parts.set(keyOf(["v", valueId]), text);
    }
    if (tablesHlc !== "") {
      content.setTablesHlc(tablesHlc);
      parts.set(keyOf(["t"]), tablesHlc);
    }
    if (valuesHlc !== "") {
      content.setValuesHlc(valuesHlc);
      parts.set(keyOf(["v"]), valuesHlc);
    }
    content.hashes = this.#store.getMergeableContentHashes() as ContentHashes;
    parts.set(keyOf(["h"]), JSON.stringify(content.hashes));
    this.#unsavedBytes = 0;
    return parts;
  }
}
