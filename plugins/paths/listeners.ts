import type { PathEvents, PathListener } from "./types.ts";

type AnyListener = (event: PathEvents[keyof PathEvents]) => void;

/** The listeners of all events. A failing listener does not affect others. */
export class Listeners {
  readonly #onError: (event: string, error: unknown) => void;
  readonly #byEvent = new Map<keyof PathEvents, Map<AnyListener, string | undefined>>();

  /** `onError` receives what a listener throws or rejects with. */
  constructor(onError: (event: string, error: unknown) => void) {
    this.#onError = onError;
  }

  /** Adds a listener for one path or for all. Returns a function that removes it. */
  add<E extends keyof PathEvents>(event: E, listener: PathListener<E>, path?: string): () => void {
    const listeners = this.#byEvent.getOrInsertComputed(event, () => new Map());
    // A new function for each call, so that the same listener can be added twice.
    const added: AnyListener = (data) => (listener as AnyListener)(data);
    listeners.set(added, path);
    return () => void listeners.delete(added);
  }

  /** Whether an event has listeners; if not, there is no need to create it. */
  has(event: keyof PathEvents): boolean {
    return (this.#byEvent.get(event)?.size ?? 0) > 0;
  }

  /** Calls the listeners of an event. */
  emit<E extends keyof PathEvents>(event: E, data: PathEvents[E]): void {
    for (const [listener, path] of [...this.#byEvent.get(event) ?? []]) {
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
