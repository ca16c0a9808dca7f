import { type Clock, PlugboardError } from "../../core/mod.ts";

/** The requests that may wait, for each that may run. */
const WAITING_PER_PLACE = 100;

/** Limits the requests that run at once; others wait for a time. No account may have more than half of the places. */
export class Places {
  readonly #max: number;
  readonly #maxWaitMs: number;
  #taken = 0;
  readonly #waiting = new Set<{ resolve(): void; reject(error: Error): void; cancel(): void }>();
  readonly #perAccount = new Map<string, number>();

  constructor(max: number, maxWaitMs: number) {
    this.#max = max;
    this.#maxWaitMs = maxWaitMs;
  }

  /** Waits for a place. Throws if too many wait, or the account has too many. Release it with the same account. */
  async take(clock: Clock, account: string | undefined): Promise<void> {
    if (account !== undefined) this.#count(account);
    try {
      if (this.#taken >= this.#max) await this.#wait(clock);
      else this.#taken++;
    } catch (error) {
      this.#uncount(account);
      throw error;
    }
  }

  release(account: string | undefined): void {
    this.#uncount(account);
    const [next] = this.#waiting;
    if (next === undefined) this.#taken--;
    else next.resolve();
  }

  /** Refuses all that wait. */
  clear(error: Error): void {
    for (const each of [...this.#waiting]) each.reject(error);
  }

  #wait(clock: Clock): Promise<void> {
    if (this.#waiting.size >= this.#max * WAITING_PER_PLACE) throw tooMany();
    return new Promise((resolve, reject) => {
      const settle = (done: () => void) => {
        if (this.#waiting.delete(each)) each.cancel();
        done();
      };
      const each = {
        resolve: () => settle(resolve),
        reject: (error: Error) => settle(() => reject(error)),
        cancel: clock.after(this.#maxWaitMs, () => each.reject(tooMany())),
      };
      this.#waiting.add(each);
    });
  }

  #count(account: string): void {
    const count = this.#perAccount.get(account) ?? 0;
    if (count >= Math.max(1, this.#max / 2)) {
      throw new PlugboardError("too_many_requests", "Too many of your requests wait for the backend");
    }
    this.#perAccount.set(account, count + 1);
  }

  #uncount(account: string | undefined): void {
    if (account === undefined) return;
    const left = this.#perAccount.get(account)! - 1;
    if (left === 0) this.#perAccount.delete(account);
    else this.#perAccount.set(account, left);
  }
}

function tooMany(): PlugboardError {
  return new PlugboardError("unavailable", "The backend is busy, try again later");
}
