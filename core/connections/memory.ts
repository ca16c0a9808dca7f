/**
 * The memory of the process. Nothing here needs a permission but the size of the machine.
 *
 * @module
 */

import { totalmem } from "node:os";
import { constrainedMemory } from "node:process";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The part of the machine's memory that the process may use by default. */
const DEFAULT_SHARE = 0.75;

/** The part of V8's heap that may be used. V8 ends the process when the heap is full. */
const HEAP_SHARE = 0.9;

/** How much memory is in use. */
export interface MemoryUse {
  /** Bytes of the process. */
  readonly bytes: number;
  /** The same as part of the limit, or the use of V8's heap if that is closer to its own limit. */
  readonly part: number;
}

/** Reads how much memory is in use. Takes 50 µs. */
export function readMemory(maxBytes: number): MemoryUse {
  const { used_heap_size, heap_size_limit } = getHeapStatistics();
  const bytes = Deno.memoryUsage().rss;
  return { bytes, part: Math.max(bytes / maxBytes, used_heap_size / (HEAP_SHARE * heap_size_limit)) };
}

/**
 * Three quarters of the memory of the container, or of the machine. Without the permission to read that, the limit of V8's
 * heap, which the runtime derives from it.
 */
export function defaultMaxMemory(): number {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  // On a terminal, the runtime would stop and ask.
  if (state !== "granted") return getHeapStatistics().heap_size_limit;
  return Math.floor(DEFAULT_SHARE * Math.min(totalmem(), constrainedMemory() || Infinity));
}

let collect: (() => void) | undefined;

/**
 * Collects all garbage, and returns the memory to the system. V8 itself keeps it: measured, a process with 60 MB in use
 * stays at 600 MB after much work. Takes 50 to 400 ms.
 */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    const exposed: unknown = runInNewContext("globalThis.gc");
    collect = typeof exposed === "function" ? () => exposed() : () => {};
  }
  collect();
}
