import { networkOf } from "../contract/network.ts";
import { Tally } from "./tally.ts";

/** Counts connections, pending admissions, and closed connections whose socket is not gone yet, by network. */
export class Places {
  readonly #all = new Tally();
  readonly #byNetwork = new Map<string, number>();

  /** How many are taken. */
  get count(): number {
    return this.#all.count;
  }

  /** How many an address and its network take. */
  from(ip: string): number {
    return this.#byNetwork.get(networkOf(ip)) ?? 0;
  }

  /** Returns a function that releases the place once, however often it is called. */
  take(ip: string): () => void {
    this.#all.add();
    this.#byNetwork.set(networkOf(ip), this.from(ip) + 1);
    let released = false;
    return () => {
      if (!released) this.release(ip);
      released = true;
    };
  }

  /** Releases a place without its function, which each connection would have to keep. */
  release(ip: string): void {
    this.#all.remove();
    const network = networkOf(ip);
    const left = this.#byNetwork.get(network)! - 1;
    if (left === 0) this.#byNetwork.delete(network);
    else this.#byNetwork.set(network, left);
  }

  /** Resolves when none is taken. */
  empty(): Promise<void> {
    return this.#all.empty();
  }
}
