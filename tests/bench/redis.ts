/**
 * Measures publishing through Redis, beside `redis-benchmark -P 32` with the same script. Both need Redis installed.
 *
 * ```sh
 * deno run --allow-all tests/bench/redis.ts
 * ```
 *
 * @module
 */

import { systemClock } from "../../core/mod.ts";
import { type Broker, memoryBroker, Payload } from "../../plugins/channels.ts";
import { redis } from "../../plugins/redis.ts";
import { SCRIPTS } from "../../plugins/redis/scripts.ts";
import { findProgram, programs } from "../kit/programs.ts";
import { connectedBroker, RedisProcess } from "../kit/redis.ts";

const CHANNELS = 50;
const IN_FLIGHT = 256;
const SECONDS = 3;
const keep = { size: 100, ageMs: 300_000 };
const text = `"${"x".repeat(98)}"`;
const draft = () => ({ payload: Payload.fromValidJson(text) });
const print = (line: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

/** Publishes per second, with many in flight. */
async function throughput(broker: Broker): Promise<number> {
  let done = 0;
  const end = performance.now() + SECONDS * 1_000;
  const worker = async (i: number) => {
    for (; performance.now() < end; done++) await broker.publish(`c${i % CHANNELS}`, draft(), { keep });
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, i) => worker(i)));
  return done / SECONDS;
}

/** The median time from a publish to its delivery, one at a time, in milliseconds. */
async function latency(broker: Broker): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 2_000; i++) {
    const start = performance.now();
    await broker.publish("c0", draft(), { keep });
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}

/** Scripts per second of `redis-benchmark`. */
async function bare(server: RedisProcess): Promise<number> {
  const keys = ["epoch", "meta:b", "stream:b"].map((key) => `plugboard:${key}`);
  const args = [
    "",
    "run",
    "1",
    "fresh",
    "2592000000",
    "plugboard:",
    `\n${text}`,
    "n/0 100 300000",
  ];
  const { stdout } = await new Deno.Command("redis-benchmark", {
    args: [
      ...["-p", `${server.port}`, "-n", "60000", "-P", "32", "--csv"],
      ...["EVALSHA", SCRIPTS.publish.sha, `${keys.length}`, ...keys, ...args],
    ],
  }).output();
  return Number(new TextDecoder().decode(stdout).match(/","([\d.]+)","[\d.]+","[\d.]+","[\d.]+"/)?.[1]);
}

const server = new RedisProcess(findProgram(programs.redis)!);
await server.ready();
const log = { debug() {}, info() {}, warn() {}, error() {} };
const host = { clock: systemClock, log };
const events = { publication: () => 1, presence() {}, interrupted() {} };
const broker = connectedBroker(redis({ urls: [server.url] }), server);
const local = memoryBroker();
await broker.start?.(events, host);
await local.start?.(events, host);
await throughput(broker); // The first round compiles.
for (let round = 0; round < 3; round++) {
  const [limit, published] = [await bare(server), await throughput(broker)];
  print(
    `redis-benchmark ${limit.toFixed(0)}/s, a node ${published.toFixed(0)}/s: ${
      (published / limit).toFixed(2)
    }`,
  );
}
await broker.subscribe("c0");
const [far, near] = [await latency(broker), await latency(local)];
print(`publish to delivery, p50: Redis ${far.toFixed(3)} ms, memory ${near.toFixed(3)} ms`);
await broker.stop?.();
await local.stop?.();
await server[Symbol.asyncDispose]();
