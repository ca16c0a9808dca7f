/**
 * Event listeners that can be removed. A failing listener does not affect others.
 *
 * @module
 */

import type { PathEvents, PathListener } from "./types.ts";

type AnyListener = (event: PathEvents[keyof PathEvents]) => void;

/** The listeners of all events. */
export class Listeners {
  readonly #onError: (event: string, error: unknown) => void;
  readonly #byEvent = new Map<keyof PathEvents, Map<AnyListener, string | undefined>>();

  /** `onError` receives what a listener throws or rejects with. */
  constructor(onError: (event: string, error: unknown) => void) {
    this.#onError = onError;
  }

  /** Adds a listener for one path or for all. Returns a function that removes it. */
  add<E extends keyof PathEvents>(event: E, listener: PathListener<E>, path?: string): () => void {
    let listeners = this.#byEvent.get(event);
    if (listeners === undefined) this.#byEvent.set(event, listeners = new Map());
    // A new function for each call, so that the same listener can be added twice.
    const added: AnyListener = (data) => (listener as AnyListener)(data);
    listeners.set(added, path);
    return () => {
      listeners.delete(added);
      if (listeners.size === 0 && this.#byEvent.get(event) === listeners) this.#byEvent.delete(event);
    };
  }

  /** Whether an event has listeners; if not, there is no need to create it. */
  has(event: keyof PathEvents): boolean {
    return this.#byEvent.has(event);
  }

  /** Calls the listeners of an event. */
  emit<E extends keyof PathEvents>(event: E, data: PathEvents[E]): void {
    const listeners = this.#byEvent.get(event);
    if (listeners === undefined) return;
    for (const [listener, path] of [...listeners]) {
      if (path !== undefined && (!("path" in data) || data.path !== path)) continue;
      try {
        const returned: unknown = listener(data);
        if (returned instanceof Promise) returned.catch((error) => this.#onError(event, error));
      } catch (error) {
        this.#onError(event, error);
      }
    }
  }
}
