/**
 * Queues of events in the database.
 *
 * @module
 */

import type { Migration, Store } from "../persistence.ts";
import { type DeadEvent, type EventQueue, type NewEvent, type QueuedEvent, Tally } from "./queue.ts";

/** The part of the database that queues use. */
export type WebhookStore = Pick<Store, "all" | "get" | "write" | "migrate">;

const MIGRATIONS: readonly Migration[] = [`
  CREATE TABLE plugboard_webhook_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, text TEXT NOT NULL, reason TEXT
  );
  CREATE INDEX plugboard_webhook_queue ON plugboard_webhook_events (receiver, id) WHERE reason IS NULL;
  CREATE INDEX plugboard_webhook_dead ON plugboard_webhook_events (receiver, id) WHERE reason IS NOT NULL;
`];

const TABLE = "plugboard_webhook_events";

/** Rows of one write; more would block the event loop for too long. */
const MAX_ROWS = 500;

/** Creates the table. */
export async function prepareQueues(store: WebhookStore): Promise<void> {
  await store.migrate("webhooks", MIGRATIONS);
}

/** Returns the receivers with stored events, and their number. */
export function storedReceivers(store: WebhookStore): { receiver: string; events: number }[] {
  return store.all(`SELECT receiver, count(*) AS events FROM ${TABLE} GROUP BY receiver`);
}

/** A queue in the database. A change has resolved when it survives a crash of the process. */
export class StoredQueue implements EventQueue {
  /** A transaction for each event would double the time of a publish. */
  readonly collectMs = 5;
  readonly queued = new Tally();
  readonly dead = new Tally();
  readonly #store: WebhookStore;
  readonly #receiver: string;

  constructor(store: WebhookStore, receiver: string) {
    this.#store = store;
    this.#receiver = receiver;
  }

  /** Counts what is stored. */
  load(): void {
    const count = (tally: Tally, condition: string) => {
      const found = this.#store.get<{ count: number; chars: number | null }>(
        `SELECT count(*) AS count, sum(length(text)) AS chars FROM ${TABLE} WHERE receiver = ? AND reason ${condition}`,
        [this.#receiver],
      );
      tally.count += found?.count ?? 0;
      tally.chars += found?.chars ?? 0;
    };
    count(this.queued, "IS NULL");
    count(this.dead, "IS NOT NULL");
  }

  async add(events: readonly NewEvent[]): Promise<void> {
    await this.#each(events, (tx, { text, reason }) => {
      tx.run(`INSERT INTO ${TABLE} (receiver, text, reason) VALUES (?, ?, ?)`, [
        this.#receiver,
        text,
        reason ?? null,
      ]);
    });
  }

  oldest(max: number): QueuedEvent[] {
    return this.#store.all<{ id: number; text: string }>(
      `SELECT id, text FROM ${TABLE} WHERE receiver = ? AND reason IS NULL ORDER BY id LIMIT ?`,
      [this.#receiver, max],
    );
  }

  async remove(batch: readonly QueuedEvent[]): Promise<void> {
    await this.#delete(batch);
    this.queued.subtract(batch);
  }

  async bury(batch: readonly QueuedEvent[], reason: string): Promise<void> {
    await this.#each(
      batch,
      (tx, { id }) => void tx.run(`UPDATE ${TABLE} SET reason = ? WHERE id = ?`, [reason, id]),
    );
    this.queued.subtract(batch);
    this.dead.add(batch);
  }

  deadLetters(after: number, limit: number): DeadEvent[] {
    return this.#store.all<{ id: number; text: string; reason: string }>(
      `SELECT id, text, reason FROM ${TABLE} WHERE receiver = ? AND reason IS NOT NULL AND id > ? ORDER BY id LIMIT ?`,
      [this.#receiver, after, limit],
    );
  }

  find(ids: readonly number[] | undefined, limit: number): DeadEvent[] {
    if (ids === undefined) return this.deadLetters(0, limit);
    const sql = `SELECT id, text, reason FROM ${TABLE} WHERE receiver = ? AND reason IS NOT NULL AND id = ?`;
    return ids.slice(0, limit).flatMap((id) =>
      this.#store.get<{ id: number; text: string; reason: string }>(sql, [this.#receiver, id]) ?? []
    );
  }

  async revive(letters: readonly DeadEvent[]): Promise<void> {
    await this.#each(
      letters,
      (tx, { id }) => void tx.run(`UPDATE ${TABLE} SET reason = NULL WHERE id = ?`, [id]),
    );
    this.dead.subtract(letters);
    this.queued.add(letters);
  }

  async forget(letters: readonly DeadEvent[]): Promise<void> {
    await this.#delete(letters);
    this.dead.subtract(letters);
  }

  #delete(rows: readonly QueuedEvent[]): Promise<void> {
    return this.#each(rows, (tx, { id }) => void tx.run(`DELETE FROM ${TABLE} WHERE id = ?`, [id]));
  }

  async #each<Row>(
    rows: readonly Row[],
    run: (tx: Parameters<Parameters<Store["write"]>[0]>[0], row: Row) => void,
  ): Promise<void> {
    for (let i = 0; i < rows.length; i += MAX_ROWS) {
      const some = rows.slice(i, i + MAX_ROWS);
      await this.#store.write((tx) => {
        for (const row of some) run(tx, row);
      });
    }
  }
}
