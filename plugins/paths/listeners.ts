/**
 * Listeners that come and go, and harm nobody.
 *
 * @module
 */

import type { PathEvents, PathListener } from "./types.ts";

type AnyListener = (event: PathEvents[keyof PathEvents]) => void;

/** Who hears of what. */
export class Listeners {
  readonly #failed: (event: string, error: unknown) => void;
  readonly #all = new Map<keyof PathEvents, Map<AnyListener, string | undefined>>();

  /** `failed` is told what a listener throws. */
  constructor(failed: (event: string, error: unknown) => void) {
    this.#failed = failed;
  }

  /** Adds a listener, for one path or for all. Returns the function that removes it. */
  add<E extends keyof PathEvents>(event: E, listener: PathListener<E>, path?: string): () => void {
    let listeners = this.#all.get(event);
    if (listeners === undefined) this.#all.set(event, listeners = new Map());
    // A wrapper of its own, so that the same function may listen twice.
    const own: AnyListener = (told) => (listener as AnyListener)(told);
    listeners.set(own, path);
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#all.get(event) === listeners) this.#all.delete(event);
    };
  }

  /** Whether anybody listens; spares making an event for nobody. */
  has(event: keyof PathEvents): boolean {
    return this.#all.has(event);
  }

  /** Tells everybody; who throws, or rejects, is logged. */
  tell<E extends keyof PathEvents>(event: E, told: PathEvents[E]): void {
    const listeners = this.#all.get(event);
    if (listeners === undefined) return;
    for (const [listener, path] of [...listeners]) {
      if (path !== undefined && (!("path" in told) || told.path !== path)) continue;
      try {
        const returned: unknown = listener(told);
        if (returned instanceof Promise) returned.catch((error) => this.#failed(event, error));
      } catch (error) {
        this.#failed(event, error);
      }
    }
  }
}
