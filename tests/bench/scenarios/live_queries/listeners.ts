/**
 * Connects ten listeners per row. Prints `ready`, then the time from each write to its last diff as JSON. Arguments: the
 * port of the server, and how long it writes.
 */

import { Histogram } from "../../load/histogram.ts";
import { Swarm } from "../../load/swarm.ts";
import { LISTENERS_PER_ROW, ROWS, wallMicros, WRITES_PER_SECOND } from "./stamps.ts";

/** How long to wait for late deliveries at the end. */
const STRAGGLERS_SECONDS = 5;

const [port, seconds] = Deno.args.map(Number) as [number, number];
const print = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));

const latencies = new Histogram();
let missing = seconds * WRITES_PER_SECOND * LISTENERS_PER_ROW;

// Each swarm has one listener per row, with the number of the row.
const swarms = Array.from({ length: LISTENERS_PER_ROW }, () => {
  const swarm = new Swarm({
    path: "/connection/websocket",
    hello: ['{"connect":{},"id":1}\n{"subscribe":{"channel":"live:ordersOf?customer=$i"},"id":2}'],
    ready: '"id":2,"subscribe"',
    message: "",
    ping: { frame: "{}", answer: "{}" },
  });
  swarm.open(port, ROWS);
  swarm.heard = (at) => {
    latencies.record(wallMicros() - at);
    missing--;
  };
  return swarm;
});
print("ready");

const end = performance.now() + (seconds + STRAGGLERS_SECONDS) * 1_000;
const idle = new Int32Array(new SharedArrayBuffer(4));
while (missing > 0 && performance.now() < end) {
  const before = missing;
  for (const swarm of swarms) swarm.poll(0);
  if (missing === before) Atomics.wait(idle, 0, 0, 1); // a millisecond for the server
}
const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => latencies.percentile(share));
const closed = swarms.reduce((sum, swarm) => sum + swarm.closed, 0);
print(JSON.stringify({ p50, p99, p999, missing, closed }));
Deno.exit();
