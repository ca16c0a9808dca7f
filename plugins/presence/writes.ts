/**
 * Writes to a presence store: in order for each client, and repeated until they succeed.
 *
 * @module
 */

import { type Clock, type MaybePromise, PlugboardError } from "../../core/mod.ts";
import { backoffMs } from "../shared/backoff.ts";
import { Turns } from "../shared/turns.ts";

/** The delay before the first retry, and the longest one. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 12_800;

/** Runs writes. */
export class PresenceWrites {
  readonly #turns = new Turns();
  readonly #pauses = new Set<() => void>();
  readonly #clock: () => Clock;
  readonly #failed: (error: unknown) => void;
  #stopped = false;

  constructor(clock: () => Clock, failed: (error: unknown) => void) {
    this.#clock = clock;
    this.#failed = failed;
  }

  /** Runs a write after earlier ones for the same client in the same channel. */
  run<T>(channel: string, client: string, write: () => MaybePromise<T>): MaybePromise<T> {
    return this.#turns.run(`${channel}\n${client}`, () => {
      try {
        const result = write();
        return result instanceof Promise ? result.catch((error) => this.#repeat(write, error)) : result;
      } catch (error) {
        return this.#repeat(write, error);
      }
    });
  }

  /** Ends all retries. */
  stop(): void {
    this.#stopped = true;
    for (const end of this.#pauses) end();
  }

  async #repeat<T>(write: () => MaybePromise<T>, first: unknown): Promise<T> {
    let error = first;
    for (let failures = 0;; failures++) {
      if (this.#stopped) {
        throw new PlugboardError("unavailable", "The presence store does not answer", { cause: error });
      }
      this.#failed(error);
      await this.#pause(backoffMs(failures, RETRY_MS, MAX_RETRY_MS));
      try {
        return await write();
      } catch (next) {
        error = next;
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock().after(ms, () => end());
      const end = () => {
        cancel();
        this.#pauses.delete(end);
        resolve();
      };
      this.#pauses.add(end);
    });
  }
}
