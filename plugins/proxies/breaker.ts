import { backoffMs } from "../shared/backoff.ts";

/** How a request failed: the backend was not reached, or its answer was late or unusable. */
export type FailureKind = "unreachable" | "answer";

/** Failures in a row until a backend counts as down. */
const MAX_FAILURES = 5;

/** Unusable answers count only if this many users get them: one user alone can provoke them. */
const MIN_ACCOUNTS = 3;

/** Stops asking a backend that is down. A single request tries whether it is back, at growing intervals. */
export class Breaker {
  readonly #now: () => number;
  /** A number between 0 and 1. */
  readonly #random: () => number;
  #failures = 0;
  #unreachable = 0;
  readonly #accounts = new Set<string>();
  /** How often it was down since the last success. */
  #openings = 0;
  #openUntil = -Infinity;
  #trying = false;

  constructor(now: () => number, random: () => number = Math.random) {
    this.#now = now;
    this.#random = random;
  }

  /** Whether the backend counts as down. */
  get open(): boolean {
    return this.#openings > 0;
  }

  /** Whether a request may be sent. If so, its result must be reported. */
  admit(): boolean {
    if (!this.open) return true;
    if (this.#trying || this.#now() < this.#openUntil) return false;
    return this.#trying = true;
  }

  /** The backend has answered. Returns whether it was down. */
  succeeded(): boolean {
    const wasOpen = this.open;
    this.#failures = this.#unreachable = this.#openings = 0;
    this.#accounts.clear();
    this.#trying = false;
    return wasOpen;
  }

  /** A request has failed. Returns whether the backend counts as down from now on. */
  failed(kind: FailureKind, account: string): boolean {
    if (this.open) {
      // Late results of requests from before prove nothing new.
      if (this.#trying) this.#wait();
      this.#trying = false;
      return false;
    }
    this.#failures++;
    if (kind === "unreachable") this.#unreachable++;
    if (this.#accounts.size < MIN_ACCOUNTS) this.#accounts.add(account);
    const proven = this.#unreachable >= MAX_FAILURES || this.#accounts.size >= MIN_ACCOUNTS;
    if (this.#failures < MAX_FAILURES || !proven) return false;
    this.#wait();
    return true;
  }

  /** A request was cancelled before it had a result. */
  cancelled(): void {
    this.#trying = false;
  }

  /** The random part keeps many servers from trying at the same time. */
  #wait(): void {
    this.#openUntil = this.#now() + backoffMs(this.#openings++) * (0.75 + this.#random() / 2);
  }
}
