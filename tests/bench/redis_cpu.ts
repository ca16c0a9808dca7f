/**
 * Measures the CPU time of a delivery through Redis, beside that without Redis, and beside Centrifugo with the same Redis if
 * its path is given.
 *
 * ```sh
 * deno run --allow-all tests/bench/redis_cpu.ts [/path/of/centrifugo]
 * ```
 *
 * @module
 */

import { findProgram, programs } from "../kit/programs.ts";
import { RedisProcess } from "../kit/redis.ts";
import { centrifugo, ours } from "./contenders.ts";
import { Load } from "./load/mod.ts";
import { measureDrive } from "./scenarios/drive.ts";

const ROUNDS = 3;
const print = (line: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

await using server = new RedisProcess(findProgram(programs.redis)!);
await server.ready();
const local = ours.find(({ name }) => name === "plugboard")!;
const remote = { ...local, name: "redis", command: [...local.command, server.url] };
await using load = new Load();
const [path] = Deno.args;
const contenders = [local, remote];
if (path !== undefined) {
  const { command, ...rest } = centrifugo(path);
  const variables = ["ENGINE_TYPE=redis", `ENGINE_REDIS_ADDRESS=${server.url}`].map((each) =>
    `CENTRIFUGO_${each}`
  );
  contenders.push({ ...rest, command: [command[0]!, ...variables, ...command.slice(1)] });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

for (const inFlight of [1, 16]) {
  for (const readers of [1, 10, 100, 1_000]) {
    const traffic = { connections: readers, senders: 1, inFlight, deliveries: readers };
    const rounds: number[][] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const cpu: number[] = [];
      for (const contender of contenders) {
        const { figures } = await measureDrive(contender, { load, seconds: 1 }, "fanout", traffic);
        cpu.push(figures.cpuMicros!);
      }
      rounds.push(cpu);
    }
    const figures = contenders.map(({ name }, i) => {
      const ratio = median(rounds.map((cpu) => cpu[i]! / cpu[0]!));
      return `${name} ${median(rounds.map((cpu) => cpu[i]!)).toFixed(2)} µs (${ratio.toFixed(2)})`;
    });
    print(`${readers} readers, ${inFlight} in flight, CPU per delivery: ${figures.join(", ")}`);
  }
}
