import type { KeyValueStore } from "../../shared/key_value_store.ts";

/** Maximum writes at the same time. All sessions may change at once, and a store's queue is limited. */
const AT_ONCE = 500;

/** Writes to a store in the background. Of several values for a key, only the last one is written. */
export interface PositionWriter {
  /** Writes a value; `undefined` deletes the key. */
  write(key: string, value: string | undefined): void;
  /** Resolves when everything is written. */
  settled(): Promise<void>;
}

/** Makes a writer. `failed` is called with each failure; the value is not written again. */
export function positionWriter(
  store: KeyValueStore | undefined,
  failed: (error: unknown) => void,
): PositionWriter {
  const waiting = new Map<string, string | undefined>();
  let writing: Promise<void> | undefined;

  async function writeAll(kept: KeyValueStore): Promise<void> {
    await undefined; // for the other changes of this turn
    while (waiting.size > 0) {
      const some = [...waiting.entries().take(AT_ONCE)];
      for (const [key] of some) waiting.delete(key);
      await Promise.all(some.map(async ([key, value]) => {
        try {
          await (value === undefined ? kept.delete(key) : kept.set(key, value));
        } catch (error) {
          failed(error);
        }
      }));
    }
    writing = undefined;
  }

  return {
    write(key, value) {
      if (store === undefined) return;
      waiting.set(key, value);
      writing ??= writeAll(store);
    },
    settled: async () => await writing,
  };
}
