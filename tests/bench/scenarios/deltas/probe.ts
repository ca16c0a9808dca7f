/** Measures publishes to a subscriber without a socket and prints the figures as JSON. */

import process from "node:process";
import { type Connection, Server } from "../../../../core/mod.ts";
import { type Channels, channels, Payload, type SubscribeRequest } from "../../../../plugins/channels.ts";
import { jsonCodec } from "../../../../plugins/protocols/centrifuge.ts";
import { anonymousIdentity } from "../../../../plugins/shared/identity.ts";
import { document } from "./document.ts";

const ROUNDS = 21;
const PUBLISHES = 2_000;

const encoder = new TextEncoder();
const socket = new Uint8Array(10_000);
let sent = 0;

/** Subscribes a client whose messages are encoded, as for a socket, and counted. */
async function subscribe(bus: Channels, channel: string, request: SubscribeRequest): Promise<void> {
  const conn = {
    id: channel,
    format: jsonCodec.framing.format,
    open: true,
    send(message: string) {
      sent += encoder.encodeInto(message, socket).written;
      return true;
    },
  };
  const client = bus.connect(conn as unknown as Connection, {
    identity: anonymousIdentity,
    encoder: jsonCodec,
  });
  await client.subscribe(channel, request, () => {});
}

const server = new Server({ port: false });
const bus = server.use(channels({ defaults: { delta: "fossil" } }));
await server.start();
await subscribe(bus, "plain", {});
await subscribe(bus, "deltas", { delta: "fossil" });

let n = 0;

/** Returns the CPU time of a publish in microseconds, and the bytes that it sends. */
async function publishes(channel: string): Promise<{ micros: number; bytes: number }> {
  const payloads = Array.from({ length: PUBLISHES }, () => Payload.of(document(n++)));
  const before = { cpu: process.cpuUsage(), sent };
  for (const payload of payloads) await bus.publish(channel, payload);
  const { user, system } = process.cpuUsage(before.cpu);
  return { micros: (user + system) / PUBLISHES, bytes: (sent - before.sent) / PUBLISHES };
}

for (const channel of ["plain", "deltas"]) await publishes(channel);
const rounds: { times: number; cpuMicros: number; bytes: number }[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const plain = await publishes("plain");
  const deltas = await publishes("deltas");
  rounds.push({
    times: deltas.micros / plain.micros,
    cpuMicros: deltas.micros,
    bytes: deltas.bytes / plain.bytes,
  });
}
const median = rounds.sort((a, b) => a.times - b.times)[ROUNDS >> 1];
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(median)));
await server.stop();
