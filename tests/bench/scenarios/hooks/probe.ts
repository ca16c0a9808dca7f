/** Measures the time and allocations of dispatching messages and prints the figures as JSON. */

import { getHeapStatistics } from "node:v8";
import type { Connection } from "../../../../core/contract/connection.ts";
import { HookRunner } from "../../../../core/server/hooks.ts";
import type { AnyPlugin } from "../../../../core/contract/plugin.ts";

const PLUGINS = 12;
const MESSAGES = 5_000_000;
const WARM_UP = 200_000;

/** Creates a counting plugin from source, so that the compiler cannot share code between plugins. */
function plugin(index: number): AnyPlugin {
  const seen = new Function(
    `let seen = 0; return function message${index}(conn, data) { seen += data.length; };`,
  );
  return { name: `plugin ${index}`, message: seen() };
}

const hooks = new HookRunner(Array.from({ length: PLUGINS }, (_, i) => plugin(i)), () => {});
const conn = {} as Connection;
const texts = ["a", "bc", "def", "ghij"];

function dispatch(count: number): void {
  for (let i = 0; i < count; i++) {
    if (hooks.message(conn, texts[i & 3]!)) throw new Error("A message was dropped");
  }
}

/** Returns the bytes allocated since the start, a counter of V8 that garbage collection does not decrease. */
function allocated(): number {
  const statistics = getHeapStatistics() as unknown as { total_allocated_bytes?: number };
  if (statistics.total_allocated_bytes === undefined) {
    throw new Error("This runtime does not count allocations");
  }
  return statistics.total_allocated_bytes;
}

dispatch(WARM_UP);
const before = allocated();
const began = performance.now();
dispatch(MESSAGES);
const micros = (performance.now() - began) * 1000;
const bytes = allocated() - before;
Deno.stdout.writeSync(
  new TextEncoder().encode(JSON.stringify({
    perSecond: MESSAGES / (micros / 1e6),
    cpuMicros: micros / MESSAGES,
    bytes: bytes / MESSAGES,
  })),
);
