import type { Clock } from "../../../core/mod.ts";
import type { Sender } from "../../paths.ts";

const JOINED_DELAY_MS = 250;
const IDLE_MS = 1_000;
const RETRY_MS = 1_000;
const MAX_RETRIES = 3;

/**
 * Schedules the server's requests for a client's hashes. It sends one when the client may have changes that the server
 * lacks:
 *
 * - after it joined without a request of its own: a multiplexed socket that reconnects assumes that everything it
 *   sent before has arrived
 * - after its last change: TinyBase does not send changes made in the moment in which it merges others
 * - after its changes could not be fetched
 */
export class HashRequests {
  readonly #clock: Clock;
  readonly #send: (member: Sender, requestId: string) => void;
  readonly #timers = new Map<string, () => void>();
  readonly #pending = new Map<string, string>();
  readonly #retries = new Map<string, number>();
  #changed = new Map<string, Sender>();
  #lastChange = 0;
  #cancelIdle: (() => void) | undefined;

  /** `send` sends a request. */
  constructor(clock: Clock, send: (member: Sender, requestId: string) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  joined(member: Sender): void {
    this.#schedule(JOINED_DELAY_MS, member);
  }

  /** Cancels a scheduled request, because the client has begun to synchronize by itself. */
  cancel({ id }: Sender): void {
    this.#timers.get(id)?.();
    this.#timers.delete(id);
  }

  /** Schedules a request for when all clients have stopped changing the store. */
  changed(member: Sender): void {
    this.#changed.set(member.id, member);
    this.#lastChange = this.#clock.monotonicTime();
    this.#cancelIdle ??= this.#clock.after(IDLE_MS, () => this.#sendIfIdle());
  }

  /** Called when a client's changes were fetched. */
  succeeded({ id }: Sender): void {
    this.#retries.delete(id);
  }

  /** Called when a client's changes could not be fetched. */
  failed(member: Sender): void {
    const retries = this.#retries.get(member.id) ?? 0;
    if (retries >= MAX_RETRIES) return;
    this.#retries.set(member.id, retries + 1);
    this.#schedule(RETRY_MS, member);
  }

  /** Returns whether a response belongs to a pending request, which is then complete. */
  complete({ id }: Sender, requestId: string | null): boolean {
    if (requestId === null || this.#pending.get(id) !== requestId) return false;
    this.#pending.delete(id);
    return true;
  }

  left(member: Sender): void {
    this.cancel(member);
    this.#pending.delete(member.id);
    this.#retries.delete(member.id);
    this.#changed.delete(member.id);
  }

  /** Cancels all scheduled requests. */
  stop(): void {
    this.#cancelIdle?.();
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #schedule(ms: number, member: Sender): void {
    this.cancel(member);
    this.#timers.set(member.id, this.#clock.after(ms, () => this.#request(member)));
  }

  #request(member: Sender): void {
    const requestId = crypto.randomUUID();
    this.#pending.set(member.id, requestId);
    this.#send(member, requestId);
  }

  #sendIfIdle(): void {
    const remainingMs = this.#lastChange + IDLE_MS - this.#clock.monotonicTime();
    this.#cancelIdle = remainingMs > 0 ? this.#clock.after(remainingMs, () => this.#sendIfIdle()) : undefined;
    if (remainingMs > 0) return;
    const changed = this.#changed;
    this.#changed = new Map();
    for (const member of changed.values()) this.#request(member);
  }
}
