/**
 * Queues of events: one for each receiver, with its dead letters.
 *
 * @module
 */

import type { MaybePromise } from "../../core/mod.ts";

/** An event in a queue. */
export interface QueuedEvent {
  /** Grows in the order of the events. */
  readonly id: number;
  /** The event as JSON text. */
  readonly text: string;
}

/** An event with the reason why it was not delivered. */
export type DeadEvent = QueuedEvent & { readonly reason: string };

/** How much a queue may hold. */
export interface QueueLimits {
  readonly maxQueued: number;
  readonly maxDeadLetters: number;
  /** For the events, and again for the dead letters. */
  readonly maxChars: number;
}

/** An event that is to be stored; with a reason it is a dead letter. */
export interface NewEvent {
  readonly text: string;
  readonly reason: string | undefined;
}

/** The events of one receiver. Changes of a queue are called one after the other. */
export interface EventQueue {
  readonly queued: Tally;
  readonly dead: Tally;
  /** How long events are collected before they are stored together. */
  readonly collectMs: number;
  /** Stores events, which {@linkcode Tally} has counted already. */
  add(events: readonly NewEvent[]): MaybePromise<void>;
  /** Returns the oldest events. */
  oldest(max: number): QueuedEvent[];
  /** Removes the oldest events, which were delivered. */
  remove(batch: readonly QueuedEvent[]): MaybePromise<void>;
  /** Makes events dead letters, and drops the oldest dead letters beyond the limit. */
  bury(batch: readonly QueuedEvent[], reason: string): MaybePromise<void>;
  /** Returns dead letters, the oldest first. */
  deadLetters(after: number, limit: number): DeadEvent[];
  /** Returns the dead letters with these ids; the oldest without. */
  find(ids: readonly number[] | undefined, limit: number): DeadEvent[];
  /** Queues dead letters again. */
  revive(letters: readonly DeadEvent[]): MaybePromise<void>;
  /** Deletes dead letters. */
  forget(letters: readonly DeadEvent[]): MaybePromise<void>;
}

/** Counts events and their characters. */
export class Tally {
  count = 0;
  chars = 0;

  add(events: readonly { readonly text: string }[]): void {
    this.count += events.length;
    for (const { text } of events) this.chars += text.length;
  }

  subtract(events: readonly { readonly text: string }[]): void {
    this.count -= events.length;
    for (const { text } of events) this.chars -= text.length;
  }

  /** Whether one more text fits. */
  fits(text: string, maxCount: number, maxChars: number): boolean {
    return this.count < maxCount && this.chars + text.length <= maxChars;
  }
}

/** A queue in memory. */
export class MemoryQueue implements EventQueue {
  readonly collectMs = 0;
  readonly queued = new Tally();
  readonly dead = new Tally();
  readonly #events = new Map<number, string>();
  readonly #dead = new Map<number, DeadEvent>();
  #lastId = 0;

  add(events: readonly NewEvent[]): void {
    for (const { text, reason } of events) {
      const id = ++this.#lastId;
      if (reason === undefined) this.#events.set(id, text);
      else this.#dead.set(id, { id, text, reason });
    }
  }

  oldest(max: number): QueuedEvent[] {
    return this.#events.entries().take(max).map(([id, text]) => ({ id, text })).toArray();
  }

  remove(batch: readonly QueuedEvent[]): void {
    for (const { id } of batch) this.#events.delete(id);
    this.queued.subtract(batch);
  }

  bury(batch: readonly QueuedEvent[], reason: string): void {
    this.remove(batch);
    for (const each of batch) this.#dead.set(each.id, { ...each, reason });
    this.dead.add(batch);
  }

  deadLetters(after: number, limit: number): DeadEvent[] {
    return this.#dead.values().filter(({ id }) => id > after).take(limit).toArray();
  }

  find(ids: readonly number[] | undefined, limit: number): DeadEvent[] {
    if (ids === undefined) return this.deadLetters(0, limit);
    return ids.flatMap((id) => this.#dead.get(id) ?? []).slice(0, limit);
  }

  revive(letters: readonly DeadEvent[]): void {
    this.forget(letters);
    for (const { id, text } of letters) this.#events.set(id, text);
    this.queued.add(letters);
  }

  forget(letters: readonly DeadEvent[]): void {
    for (const { id } of letters) this.#dead.delete(id);
    this.dead.subtract(letters);
  }
}
