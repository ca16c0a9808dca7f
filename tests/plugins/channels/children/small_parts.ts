/** Keeps small payloads of large messages, and prints by how many megabytes the process has grown. */

import { memoryBroker, Payload } from "../../../../plugins/channels.ts";
import { memberText } from "../../../../plugins/shared/json_text.ts";

// deno-lint-ignore no-explicit-any -- the runtime's own collector, by a flag
const collect = (globalThis as any).gc as () => void;
const broker = memoryBroker();

function megabytes(): number {
  collect();
  collect();
  return Deno.memoryUsage().rss / 1e6;
}

const before = megabytes();
for (let i = 0; i < 3_000; i++) {
  const text = `{"type":"publish","data":{"text":"hello ${i}"},"padding":"${"x".repeat(60_000)}"}`;
  // A message of a client is one flat text.
  const message = new TextDecoder().decode(new TextEncoder().encode(text));
  const payload = Payload.fromValidJson(memberText(message, "data")!);
  await broker.publish(`channel${i}`, { payload }, { keep: { size: 10, ageMs: 60_000 } });
}
// deno-lint-ignore no-console -- the test reads it
console.log(Math.round(megabytes() - before));
