/** Counts what dispatching messages allocates and how long it takes; prints the figures as JSON. */

import { getHeapStatistics } from "node:v8";
import type { Connection } from "../../../../core/contract/connection.ts";
import { HookRunner } from "../../../../core/server/hooks.ts";
import type { AnyPlugin } from "../../../../core/contract/plugin.ts";

const PLUGINS = 12;
const MESSAGES = 5_000_000;
const WARM_UP = 200_000;

/** A counting plugin; made from source, so that each has code of its own and the compiler cannot merge them. */
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
    if (hooks.message(conn, texts[i & 3]!)) throw new Error("Nobody drops a message here");
  }
}

/** Bytes allocated since the program began, V8's own counter: collections do not lower it. */
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
