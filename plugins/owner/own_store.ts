import type { Store, Sync, Transaction } from "../persistence.ts";

/** What can be guarded of a store. */
export type OwnedStore =
  & Pick<Store, "write">
  & Partial<Pick<Store, "all" | "get" | "run" | "exec" | "problem" | "keyValues">>;

/**
 * Returns a store that writes only while `check` does not throw, and with `reads` also reads only then. It is checked in the transaction, and again before
 * a write is acknowledged, since the process may have been stopped meanwhile.
 */
export function ownStore<S extends OwnedStore>(store: S, check: () => void, reads: boolean): S {
  async function write<T>(fn: (tx: Transaction) => Sync<T>): Promise<T> {
    const value = await store.write((tx) => {
      check();
      return fn(tx);
    });
    check();
    return value;
  }

  function checked<Args extends unknown[], Result>(method: ((...args: Args) => Result) | undefined) {
    return method && ((...args: Args) => {
      check();
      return method(...args);
    });
  }

  const own = {
    write,
    all: reads ? checked(store.all) : undefined,
    get: reads ? checked(store.get) : undefined,
    run: store.run && ((...args: Parameters<Store["run"]>) => write((tx) => tx.run(...args))),
    exec: store.exec && ((script: string) => write((tx) => tx.exec(script))),
  };
  // The other members are those of the store, its getters too.
  return Object.create(store, {
    ...Object.fromEntries(
      Object.entries(own).filter(([, value]) => value !== undefined).map((
        [name, value],
      ) => [name, { value }]),
    ),
    problem: {
      get() {
        if (store.problem !== undefined) return store.problem;
        try {
          check();
        } catch (error) {
          return (error as Error).message;
        }
      },
    },
  });
}
