/** The deliveries of others while a server is busy with something. */

import type { ServerProcess } from "../server_process.ts";
import type { Measurement, Tools } from "../types.ts";

/** Number of alternating measurements, since a disturbance affects both. */
const PAIRS = 5;

/** Measures deliveries in `free:room` while the server publishes to a namespace, against another namespace. */
export async function measureBeside(
  server: ServerProcess,
  { load, seconds }: Tools,
  { busy, quiet }: { readonly busy: string; readonly quiet: string },
): Promise<Measurement> {
  await load.open(server.port, {
    path: "/connection/websocket",
    hello: ['{"connect":{},"id":1}\n{"subscribe":{"channel":"free:room"},"id":2}'],
    ready: '"id":2,"subscribe"',
    message: "",
    ping: { frame: "{}", answer: "{}" },
  }, 100);
  const p99During = async (namespace: string) => {
    await (await fetch(`http://127.0.0.1:${server.port}/busy/${namespace}`)).text();
    const message = '{"publish":{"channel":"free:room","data":"$payload"},"id":3}';
    const traffic = { message, payloadBytes: 64, senders: 1, inFlight: 1, deliveries: 100 };
    const { p99 } = await load.drive({ pid: server.pid, ...traffic, warmUpSeconds: 0.5, seconds });
    return p99;
  };
  const pairs: { p99: number; times: number }[] = [];
  for (let i = 0; i < PAIRS; i++) {
    const before = await p99During(quiet);
    const p99 = await p99During(busy);
    pairs.push({ p99, times: p99 / before });
  }
  await load.close();
  return { figures: pairs.sort((a, b) => a.times - b.times)[PAIRS >> 1]!, notes: [] };
}
