import type { SdkClient } from "./types.ts";

/**
 * A value that changes. React's `useSyncExternalStore`, Svelte's `$store`, Solid's `from` and Vue's `shallowRef` use it as
 * it is. It works while it has subscribers.
 */
export interface Store<State> {
  /** Calls `listener` now and after each change. Returns the function that ends this. */
  subscribe(listener: (state: State) => void): () => void;
  /** Returns the current value: the same object until it changes. */
  getSnapshot(): State;
  /** Equal for stores of the same client that share their value. */
  readonly key: string;
}

/** The shared part of equal stores. It exists while one of them has a subscriber. */
interface Shared {
  state: unknown;
  readonly listeners: Set<{ readonly notify: (state: never) => void }>;
  stop: () => void;
  /** Pending when the last subscriber has gone. */
  ending: ReturnType<typeof setTimeout> | undefined;
}

/** The next page or React's StrictMode subscribes again at once: the value is kept for so long. */
const LINGER_MS = 100;

const sharedByClient = new WeakMap<SdkClient, Map<string, Shared>>();

/** Makes a store. `start` begins at the first subscriber of all equal stores, and returns what ends it after the last. */
export function sharedStore<State extends object>(
  client: SdkClient,
  key: string,
  initial: State,
  start: (set: (state: State) => void) => () => void,
): Store<State> {
  const all = sharedByClient.get(client) ?? new Map<string, Shared>();
  sharedByClient.set(client, all);

  function open(): Shared {
    const shared: Shared = { state: initial, listeners: new Set(), stop: () => {}, ending: undefined };
    all.set(key, shared);
    shared.stop = start((state) => {
      if (isSame(shared.state as State & object, state)) return;
      shared.state = state;
      for (const { notify } of [...shared.listeners]) notify(state as never);
    });
    return shared;
  }

  return {
    key,
    getSnapshot: () => (all.get(key)?.state ?? initial) as State,
    subscribe(notify) {
      const shared = all.get(key) ?? open();
      clearTimeout(shared.ending);
      const listener = { notify };
      shared.listeners.add(listener);
      notify(shared.state as State);
      return () => {
        if (!shared.listeners.delete(listener) || shared.listeners.size > 0) return;
        shared.ending = setTimeout(() => {
          all.delete(key);
          shared.stop();
        }, LINGER_MS);
      };
    },
  };
}

/** Whether all members are the same. */
function isSame<State extends object>(one: State, other: State): boolean {
  return (Object.keys(other) as (keyof State)[]).every((member) => one[member] === other[member]);
}
