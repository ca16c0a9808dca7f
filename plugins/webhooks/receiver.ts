/**
 * One receiver: accepts events, stores them, and sends them in order, one request after the other.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type Clock, type Host, messageOf } from "../../core/mod.ts";
import { backoffMs } from "../shared/backoff.ts";
import { requestFailure } from "../shared/http_url.ts";
import type { DeadEvent, EventQueue, NewEvent, QueuedEvent, QueueLimits } from "./queue.ts";
import { Pause } from "./pause.ts";
import { signatureHeaders } from "./signature.ts";
import type { WebhookOptions } from "./types.ts";

/** What becomes of events: `delivered`, `dead` or `dropped`. */
export type CountEvents = (amount: number, result: "delivered" | "dead" | "dropped") => void;

/** Events that wait for the disk, at most; further ones are dropped. */
const MAX_UNSTORED = 10_000;

/** Characters of one request; an event that is longer has a request of its own. */
const MAX_BODY_CHARS = 1_048_576;

/** Dead letters that are changed at once. */
const MAX_LETTERS = 500;

/** How often a problem that continues is logged. */
const QUIET_MS = 10_000;

/** Options with the defaults filled in. */
export interface ReceiverOptions
  extends QueueLimits, Required<Pick<WebhookOptions, "maxBatch" | "batchMs" | "timeoutMs" | "giveUpMs">> {
  readonly name: string;
  readonly url: string;
  readonly secrets: readonly Uint8Array[];
  readonly headers: Readonly<Record<string, string>>;
}

/** Sends events to one URL. */
export class Receiver {
  readonly queue: EventQueue;
  /** They may be replaced; a request that is being sent keeps the old ones. */
  options: ReceiverOptions;
  /** Events that were dropped. */
  dropped = 0;
  readonly #count: CountEvents;
  #host: Host | undefined;
  #stopping = false;
  #unstored: NewEvent[] = [];
  /** Whether events are being stored, and until when. */
  #storing = false;
  #stored: Promise<void> = Promise.resolve();
  #sending = false;
  #sent: Promise<void> = Promise.resolve();
  #administered: Promise<unknown> = Promise.resolve();
  #abort: AbortController | undefined;
  readonly #forDisk = new Pause();
  readonly #forBatch = new Pause();
  readonly #forReceiver = new Pause();
  readonly #silentUntil: Record<string, number> = {};

  constructor(options: ReceiverOptions, queue: EventQueue, count: CountEvents) {
    this.options = options;
    this.queue = queue;
    this.#count = count;
  }

  start(host: Host): void {
    this.#host = host;
    this.#stopping = false;
    this.wake();
  }

  /** Stops sending, and stores what was accepted. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#forDisk.end();
    await this.#stored;
    this.#host = undefined;
    this.#abort?.abort();
    for (const pause of [this.#forDisk, this.#forBatch, this.#forReceiver]) pause.end();
    await this.#sent;
  }

  /** Accepts an event. Never waits, and never throws. */
  accept(text: string): void {
    const { maxQueued, maxDeadLetters, maxChars } = this.options;
    const { queued, dead } = this.queue;
    if (this.#unstored.length >= MAX_UNSTORED) return this.#drop("the events cannot be stored fast enough");
    if (queued.fits(text, maxQueued, maxChars)) {
      queued.add([{ text }]);
      this.#unstored.push({ text, reason: undefined });
    } else if (dead.fits(text, maxDeadLetters, maxChars)) {
      dead.add([{ text }]);
      this.#unstored.push({ text, reason: "the queue was full" });
      this.#count(1, "dead");
      this.#report("full", "the queue is full, so events become dead letters");
    } else {
      return this.#drop("the queue and the dead letters are full");
    }
    if (this.#storing) return;
    this.#storing = true;
    const { collectMs } = this.queue;
    this.#stored = new Promise<void>((resolve) => {
      if (collectMs === 0) resolve();
      else setTimeout(resolve, collectMs);
    }).then(() => this.#store());
  }

  /** Sends what is queued. */
  wake(): void {
    if (this.#host === undefined) return;
    if (this.queue.queued.count >= this.options.maxBatch) this.#forBatch.end();
    if (this.#sending) return;
    this.#sending = true;
    this.#sent = this.#send();
  }

  /** Queues dead letters again, as far as there is room. */
  retry(ids?: readonly number[]): Promise<number> {
    const room = () => Math.max(0, this.options.maxQueued - this.queue.queued.count);
    return this.#administer(ids, room, async (letters) => {
      await this.queue.revive(letters);
      this.wake();
    });
  }

  /** Deletes dead letters. */
  empty(ids?: readonly number[]): Promise<number> {
    return this.#administer(ids, () => Infinity, (letters) => this.queue.forget(letters));
  }

  /** Changes dead letters, some at a time. One call runs after the other, so that none counts the same letters. */
  #administer(
    ids: readonly number[] | undefined,
    room: () => number,
    change: (letters: readonly DeadEvent[]) => unknown,
  ): Promise<number> {
    const work = async () => {
      let total = 0;
      for (let i = 0; room() > 0 && i < (ids?.length ?? Infinity); i += MAX_LETTERS) {
        const letters = this.queue.find(ids?.slice(i, i + MAX_LETTERS), Math.min(MAX_LETTERS, room()));
        if (letters.length === 0 && ids === undefined) break;
        await change(letters);
        total += letters.length;
      }
      return total;
    };
    const done = this.#administered.then(work);
    this.#administered = done.catch(() => {});
    return done;
  }

  #drop(reason: string): void {
    this.dropped++;
    this.#count(1, "dropped");
    this.#report("dropped", `events are dropped: ${reason}`);
  }

  async #store(): Promise<void> {
    for (let failures = 0; this.#unstored.length > 0;) {
      const events = this.#unstored.slice(0, MAX_UNSTORED / 20);
      try {
        await this.queue.add(events);
        this.#unstored.splice(0, events.length);
        failures = 0;
        this.wake();
      } catch (error) {
        this.#report("storing", `events cannot be stored: ${messageOf(error)}`);
        // At the end of the server there is no other attempt.
        if (this.#stopping || this.#host === undefined) break;
        await this.#forDisk.wait(this.#host.clock, backoffMs(failures++));
      }
    }
    this.#storing = false;
  }

  async #send(): Promise<void> {
    const { maxBatch, batchMs } = this.options;
    for (let host = this.#host; host !== undefined && this.queue.queued.count > 0; host = this.#host) {
      try {
        if (batchMs > 0 && this.queue.queued.count < maxBatch) await this.#forBatch.wait(host.clock, batchMs);
        const batch = this.#nextBatch();
        if (batch.length > 0) await this.#deliver(host, batch);
        else if (this.#storing) await this.#stored; // Events are counted before they are stored.
        else break;
      } catch (error) {
        this.#report("storing", `the queue cannot be read: ${messageOf(error)}`);
        await this.#forReceiver.wait(host.clock, backoffMs(3));
      }
    }
    this.#sending = false;
  }

  #nextBatch(): QueuedEvent[] {
    let chars = 0;
    const oldest = this.#host === undefined ? [] : this.queue.oldest(this.options.maxBatch);
    const end = oldest.findIndex(({ text }, i) => (chars += text.length) > MAX_BODY_CHARS && i > 0);
    return end === -1 ? oldest : oldest.slice(0, end);
  }

  /** Sends a batch until it is accepted, or too old. Others wait, so that the order is kept. */
  async #deliver({ clock, log }: Host, batch: readonly QueuedEvent[]): Promise<void> {
    const { giveUpMs, name } = this.options;
    const begin = clock.monotonicTime();
    const body = Buffer.from(`{"events":[${batch.map(({ text }) => text).join(",")}]}`);
    // The same batch has the same id, so that a receiver can recognize a repeated request.
    const id = `msg_${idOf(batch[0]!)}_${batch.length}`;
    for (let failures = 0; this.#host !== undefined; failures++) {
      const problem = await this.#attempt(clock, id, body);
      if (problem === undefined) {
        await this.#settle(() => this.queue.remove(batch));
        if (failures > 0) log.info(`webhook ${name}: the receiver accepts events again`);
        return this.#count(batch.length, "delivered");
      }
      if (this.#host === undefined) return;
      this.#report("attempt", `the receiver does not accept events: ${problem}`);
      if (clock.monotonicTime() - begin >= giveUpMs) return await this.#bury(batch, problem);
      await this.#forReceiver.wait(clock, backoffMs(failures, 1_000, 60_000) * (0.5 + Math.random() / 2));
    }
  }

  async #bury(batch: readonly QueuedEvent[], problem: string): Promise<void> {
    const { maxDeadLetters, maxChars } = this.options;
    const { dead } = this.queue;
    const chars = batch.reduce((sum, { text }) => sum + text.length, 0);
    if (dead.count + batch.length > maxDeadLetters || dead.chars + chars > maxChars) {
      await this.#settle(() => this.queue.remove(batch));
      for (let i = 0; i < batch.length; i++) this.#drop("the dead letters are full");
    } else {
      await this.#settle(() => this.queue.bury(batch, problem));
      this.#count(batch.length, "dead");
    }
  }

  /** Repeats a change of the queue until the disk works. */
  async #settle(change: () => unknown): Promise<void> {
    for (let failures = 0;; failures++) {
      try {
        return void await change();
      } catch (error) {
        this.#report("storing", `the queue cannot be changed: ${messageOf(error)}`);
        if (this.#host === undefined) return;
        await this.#forReceiver.wait(this.#host.clock, backoffMs(failures));
      }
    }
  }

  /** Sends a request; returns what is wrong, if anything is. */
  async #attempt(clock: Clock, id: string, body: Buffer<ArrayBuffer>): Promise<string | undefined> {
    const { url, secrets, headers, timeoutMs } = this.options;
    const controller = this.#abort = new AbortController();
    const cancel = clock.after(timeoutMs, () => controller.abort());
    try {
      const response = await fetch(url, {
        method: "POST",
        redirect: "manual",
        signal: controller.signal,
        body,
        headers: {
          ...headers,
          "content-type": "application/json",
          ...signatureHeaders(secrets, id, Math.floor(clock.wallTime() / 1_000), body),
        },
      });
      // Only the status counts. The rest of a long answer is not read.
      await response.body?.cancel().catch(() => {});
      return response.ok ? undefined : `the status was ${response.status}`;
    } catch (error) {
      if (controller.signal.aborted) return `no answer within ${timeoutMs} ms`;
      return requestFailure(error, url);
    } finally {
      cancel();
    }
  }

  #report(kind: string, message: string): void {
    const host = this.#host;
    if (host === undefined || host.clock.monotonicTime() < (this.#silentUntil[kind] ?? -Infinity)) return;
    this.#silentUntil[kind] = host.clock.monotonicTime() + QUIET_MS;
    const { name } = this.options;
    const { queued, dead } = this.queue;
    const fields = { receiver: name, queued: queued.count, deadLetters: dead.count, dropped: this.dropped };
    host.log[kind === "attempt" ? "warn" : "error"](`webhook ${name}: ${message}`, fields);
  }
}

/** The id in an event's text. */
function idOf({ text }: QueuedEvent): string {
  return (JSON.parse(text) as { id: string }).id;
}
