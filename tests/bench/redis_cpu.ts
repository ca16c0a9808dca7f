/**
 * Measures the CPU time of a delivery through Redis, beside that without Redis.
 *
 * ```sh
 * deno run --allow-all tests/bench/redis_cpu.ts
 * ```
 *
 * @module
 */

import { findProgram, programs } from "../kit/programs.ts";
import { RedisProcess } from "../kit/redis.ts";
import { ours } from "./contenders.ts";
import { Load } from "./load/mod.ts";
import { measureDrive } from "./scenarios/drive.ts";

const ROUNDS = 3;
const print = (line: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

await using server = new RedisProcess(findProgram(programs.redis)!);
await server.ready();
const local = ours.find(({ name }) => name === "plugboard")!;
const remote = { ...local, name: "redis", command: [...local.command, server.url] };
await using load = new Load();
for (const inFlight of [1, 16]) {
  for (const readers of [1, 10, 100, 1_000]) {
    const traffic = { connections: readers, senders: 1, inFlight, deliveries: readers };
    const rounds: [number, number][] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const cpu: number[] = [];
      for (const contender of [local, remote]) {
        const { figures } = await measureDrive(contender, { load, seconds: 1 }, "fanout", traffic);
        cpu.push(figures.cpuMicros!);
      }
      rounds.push([cpu[0]!, cpu[1]!]);
    }
    const [here, there] = rounds.sort((a, b) => a[1] / a[0] - b[1] / b[0])[ROUNDS >> 1]!;
    print(
      `${readers} readers, ${inFlight} in flight: ${there.toFixed(2)} µs a delivery, ${
        here.toFixed(2)
      } without Redis: ${(there / here).toFixed(2)}`,
    );
  }
}
