/**
 * Inquiries: the server asks a client what it has, by its hashes, where it might not have said it:
 *
 * - when it has come and asks for nothing itself: a multiplexed socket that reconnects believes that all it sent
 *   before has arrived
 * - when it has changed something and all is quiet again: TinyBase's clients do not send what changes at the very
 *   moment in which they merge something else
 * - when fetching its changes has failed
 *
 * @module
 */

import type { Clock } from "../../../core/mod.ts";
import type { Sender } from "../../paths.ts";

const GREETING_MS = 250;
const QUIET_MS = 1_000;
const RETRY_MS = 1_000;
const MAX_RETRIES = 3;

/** Keeps track of who is to be asked when. */
export class Inquiries {
  readonly #clock: Clock;
  readonly #ask: (member: Sender, requestId: string) => void;
  readonly #timers = new Map<string, () => void>();
  readonly #open = new Map<string, string>();
  readonly #retries = new Map<string, number>();
  #active = new Map<string, Sender>();
  #lastChange = 0;
  #cancelQuiet: (() => void) | undefined;

  /** `ask` sends the question. */
  constructor(clock: Clock, ask: (member: Sender, requestId: string) => void) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** A client came. */
  joined(member: Sender): void {
    this.#askIn(GREETING_MS, member);
  }

  /** A client says what it has, or asks what the server has, and so is starting and will say it. */
  speaks({ id }: Sender): void {
    this.#timers.get(id)?.();
    this.#timers.delete(id);
  }

  /** A client changed something. */
  changed(member: Sender): void {
    this.#active.set(member.id, member);
    this.#lastChange = this.#clock.now();
    this.#cancelQuiet ??= this.#clock.after(QUIET_MS, () => this.#whenQuiet());
  }

  /** What a client has was fetched. */
  fetched({ id }: Sender): void {
    this.#retries.delete(id);
  }

  /** That has failed. */
  failed(member: Sender): void {
    const retries = this.#retries.get(member.id) ?? 0;
    if (retries >= MAX_RETRIES) return;
    this.#retries.set(member.id, retries + 1);
    this.#askIn(RETRY_MS, member);
  }

  /** Whether this is the answer to a question that was asked here. */
  answered({ id }: Sender, requestId: string | null): boolean {
    if (requestId === null || this.#open.get(id) !== requestId) return false;
    this.#open.delete(id);
    return true;
  }

  /** A client has left. */
  left(member: Sender): void {
    this.speaks(member);
    this.#open.delete(member.id);
    this.#retries.delete(member.id);
    this.#active.delete(member.id);
  }

  /** Asks nobody any more. */
  stop(): void {
    this.#cancelQuiet?.();
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #askIn(ms: number, member: Sender): void {
    this.#timers.get(member.id)?.();
    const ask = () => {
      this.#timers.delete(member.id);
      this.#askNow(member);
    };
    this.#timers.set(member.id, this.#clock.after(ms, ask));
  }

  #askNow(member: Sender): void {
    const requestId = crypto.randomUUID();
    this.#open.set(member.id, requestId);
    this.#ask(member, requestId);
  }

  #whenQuiet(): void {
    const restMs = this.#lastChange + QUIET_MS - this.#clock.now();
    this.#cancelQuiet = restMs > 0 ? this.#clock.after(restMs, () => this.#whenQuiet()) : undefined;
    if (restMs > 0) return;
    const active = this.#active;
    this.#active = new Map();
    for (const member of active.values()) this.#askNow(member);
  }
}
