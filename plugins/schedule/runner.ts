/**
 * Publishes what is due.
 *
 * @module
 */

import { hash } from "node:crypto";
import { type Clock, type Log, messageOf, PlugboardError, within } from "../../core/mod.ts";
import type { Bus } from "../channels.ts";
import type { Store, Transaction } from "../persistence.ts";
import { backoffMs } from "../shared/backoff.ts";
import { contentOf, dueBy, type DueRow, planNext, recurring, remove, retryAt, storeSkew } from "./entries.ts";
import type { Quota } from "./quota.ts";
import type { Recurrence } from "./recurrence.ts";
import type { Times } from "./times.ts";

/** What the runner works with. */
export interface RunnerParts {
  readonly channels: Pick<Bus, "publish">;
  readonly store: Pick<Store, "all" | "get" | "write">;
  readonly clock: Clock;
  readonly log: Log;
  readonly times: Times;
  readonly quota: Quota;
  readonly pattern: Recurrence;
  readonly maxLateMs: number;
  /** Entries up to here were stored by an earlier process. */
  readonly earlierTo: number;
}

/** How many publications are read and finished at once. */
const SLICE = 100;

/** How long publishing may block the event loop. */
const SLICE_MS = 5;

/** Waits between tries: doubled up to a minute. A broker that does not answer counts as failed. */
const RETRY_MS = { first: 1_000, most: 60_000 };
const PUBLISH_MS = 10_000;

/** Errors that a later try would get too. */
const FINAL = new Set(["bad_request", "unknown_channel", "not_available", "permission_denied", "too_large"]);

/** What follows a try: the time of the next publication or try, or the end. */
type Outcome = { readonly next: number } | { readonly retry: number } | "end";

/** Publishes in the background, one slice at a time. */
export class Runner {
  readonly #parts: RunnerParts;
  /** The publications of the current slice, by channel and id. */
  readonly #current = new Set<string>();
  /** Settles with the current slice. */
  #slice: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  readonly #stop = Promise.withResolvers<void>();
  #stopped = false;
  /** How often the store could not be read, and when to read it again. */
  #failures = 0;
  #pausedUntil = 0;
  /** Whether everything that fell due before the start was published. */
  #caughtUp = false;
  #tooLate = 0;
  /** After the wall clock was set back, recurring entries up to here have their new time. */
  #recheckedTo = Infinity;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  /** Begins to publish what is due, unless it is doing so. */
  look(): void {
    const { quota, clock } = this.#parts;
    if (this.#running !== undefined || this.#stopped) return;
    this.#noteLeap();
    if (quota.entries === 0) this.#caughtUp = true;
    if (this.#caughtUp && quota.entries === 0 || clock.monotonicTime() < this.#pausedUntil) return;
    this.#running = this.#run()
      .then(() => this.#failures = 0, (error) => this.#failed(error))
      .then(() => this.#running = undefined);
  }

  /** Resolves when the publication, if it is being published, is finished. */
  async settled(channel: string, id: string): Promise<void> {
    while (this.#current.has(nameOf({ channel, id }))) await this.#slice;
  }

  /** Finishes the current slice. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stop.resolve();
    await this.#running;
  }

  #failed(error: unknown): void {
    const { log, clock } = this.#parts;
    if (this.#failures === 0) log.error("the schedule could not be read", { error });
    this.#pausedUntil = clock.monotonicTime() + backoffMs(this.#failures++);
  }

  #noteLeap(): void {
    const { times, store, log } = this.#parts;
    const leap = times.leap();
    if (leap === 0) return;
    log.warn(`The clock was set by ${Math.round(leap / 1000)} s`);
    store.write((tx) => storeSkew(tx, times.skew))
      .catch((error) => log.error("storing that the clock was set failed", { error }));
    if (leap < 0) this.#recheckedTo = 0;
  }

  async #run(): Promise<void> {
    await this.#recheck();
    for (;;) {
      const due = this.#due();
      if (due.length === 0) break;
      this.#slice = this.#publish(due).finally(() => this.#current.clear());
      await this.#slice;
      if (this.#stopped) return;
    }
    this.#caughtUp = true;
    if (this.#tooLate > 0) {
      const { log, maxLateMs } = this.#parts;
      const ago = `${maxLateMs / 1000} s before the start`;
      log.warn(`Dropped ${this.#tooLate} scheduled publications that fell due more than ${ago}`);
      this.#tooLate = 0;
    }
  }

  /** The next entries that are due by any of the clocks, in the order in which they fell due. */
  #due(): DueRow[] {
    const { store, times } = this.#parts;
    const byWall = dueBy(store, 0, Math.floor(times.wall), SLICE);
    const bySteady = dueBy(store, 1, Math.floor(times.steady), SLICE);
    if (bySteady.length === 0) return byWall;
    return [...byWall, ...bySteady]
      .sort((a, b) => this.#wallTimeOf(a) - this.#wallTimeOf(b) || a.seq - b.seq).slice(0, SLICE);
  }

  #wallTimeOf({ due, steady }: DueRow): number {
    return steady === 1 ? due + this.#parts.times.skew : due;
  }

  async #publish(due: readonly DueRow[]): Promise<void> {
    for (const entry of due) this.#current.add(nameOf(entry));
    const tries: Promise<Outcome>[] = [];
    let begun = performance.now();
    for (const entry of due) {
      tries.push(this.#try(entry));
      if (performance.now() - begun < SLICE_MS) continue;
      await new Promise((resolve) => setImmediate(resolve));
      begun = performance.now();
    }
    await this.#finish(due, await Promise.all(tries));
  }

  async #try(entry: DueRow): Promise<Outcome> {
    const { channels, clock, log, maxLateMs, times } = this.#parts;
    if (this.#isTooLate(entry)) {
      this.#tooLate++;
      return this.#after(entry);
    }
    const { id, channel, tries } = entry;
    try {
      const { payload, options } = contentOf(entry);
      const published = channels.publish(channel, payload, {
        ...options,
        idempotencyKey: occasionOf(entry),
        idempotencyOwner: "schedule",
        // After a crash it is published again, but not later than this.
        idempotencyMs: maxLateMs + RETRY_MS.most,
      });
      await within(clock, PUBLISH_MS, "The publish", published);
      return this.#after(entry);
    } catch (error) {
      const code = error instanceof PlugboardError ? error.code : "";
      const last = FINAL.has(code) || waitedMs(tries) >= maxLateMs;
      const what = `The scheduled publication ${JSON.stringify(id)} to ${JSON.stringify(channel)} failed`;
      if (last) log.error(`${what} and was given up: ${messageOf(error)}`, { code });
      else if (tries === 0) log.warn(`${what} and is tried again: ${messageOf(error)}`, { code });
      if (last) return this.#after(entry);
      const now = entry.steady === 1 ? times.steady : times.wall;
      return { retry: Math.round(now + backoffMs(tries, RETRY_MS.first, RETRY_MS.most)) };
    }
  }

  /** Whether an entry fell due while the server was down, too long ago; a recurring one each time it did. */
  #isTooLate(entry: DueRow): boolean {
    const { times, maxLateMs, earlierTo, pattern } = this.#parts;
    const oldest = times.wall - maxLateMs;
    if (this.#caughtUp || entry.seq > earlierTo || this.#wallTimeOf(entry) >= oldest) return false;
    const { every, timezone } = entry;
    const missed = every === null ? undefined : pattern.next(every, timezone!, oldest);
    return missed === undefined || missed > times.wall;
  }

  /** Returns the next time of a recurring entry. Of the times that were missed, only one is published. */
  #after({ every, timezone }: DueRow): Outcome {
    const { pattern, times } = this.#parts;
    const next = every === null ? undefined : pattern.next(every, timezone!, times.wall);
    return next === undefined ? "end" : { next };
  }

  /** Stores the outcomes. Waits while the store fails: otherwise, it would be published again. */
  async #finish(due: readonly DueRow[], outcomes: readonly Outcome[]): Promise<void> {
    const { store, clock, log, quota } = this.#parts;
    for (let failures = 0;; failures++) {
      try {
        const removed = await store.write((tx) => due.map(({ seq }, i) => apply(tx, seq, outcomes[i]!)));
        for (const entry of removed) if (entry !== undefined) quota.release(entry.owner, entry.size);
        return;
      } catch (error) {
        if (this.#stopped) return;
        if (failures === 0) log.error("what was published could not be removed from the schedule", { error });
        const pause = Promise.withResolvers<void>();
        const cancel = clock.after(backoffMs(failures), pause.resolve);
        await Promise.race([pause.promise, this.#stop.promise]);
        cancel();
      }
    }
  }

  /** Finds new times for recurring entries after the clock was set back, a slice at a time. */
  async #recheck(): Promise<void> {
    const { store, pattern, times } = this.#parts;
    while (this.#recheckedTo !== Infinity && !this.#stopped) {
      const entries = recurring(store, this.#recheckedTo, SLICE);
      const earlier = entries.flatMap(({ seq, every, timezone, planned }) => {
        const next = pattern.next(every!, timezone!, times.wall);
        return next !== undefined && next < planned ? [{ seq, next }] : [];
      });
      if (earlier.length > 0) {
        await store.write((tx) => earlier.forEach(({ seq, next }) => planNext(tx, seq, next)));
      }
      this.#recheckedTo = entries.length < SLICE ? Infinity : entries.at(-1)!.seq;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/**
 * Returns what stands for one publication. Of an app's recurring one, several nodes may have an entry, and one of them publishes
 * it each time.
 */
function occasionOf({ id, owner, every, planned, key, run }: DueRow): string {
  return every !== null && owner === null ? `${hash("sha256", id)}:${planned}` : `${key}:${run}`;
}

function nameOf({ channel, id }: Pick<DueRow, "channel" | "id">): string {
  return `${channel}\n${id}`;
}

function apply(tx: Transaction, seq: number, outcome: Outcome) {
  if (outcome === "end") return remove(tx, seq);
  if ("next" in outcome) planNext(tx, seq, outcome.next);
  else retryAt(tx, seq, outcome.retry);
}

/** For how long an entry has been tried. */
function waitedMs(tries: number): number {
  let ms = 0;
  for (let n = 0; n < tries; n++) ms += backoffMs(n, RETRY_MS.first, RETRY_MS.most);
  return ms;
}
