import type { Store } from "../../../plugins/persistence.ts";

export const ITEMS = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT UNIQUE)";
export const INSERT = "INSERT INTO items (name) VALUES (?)";

/** Counts the transactions that change something. */
export function transactionCounter(store: Store): { count: number } {
  const counter = { count: 0 };
  store.watch(() => void counter.count++, "all");
  return counter;
}

/** Returns the values of writes, and the messages of those that failed. */
export async function outcomes(writes: Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(writes);
  return settled.map((each) => each.status === "fulfilled" ? each.value : each.reason.message);
}
