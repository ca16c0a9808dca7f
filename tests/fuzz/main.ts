/**
 * Attacks `main.ts` with random inputs over every protocol and route, as a process of its own:
 * `deno task fuzz --seed 7 --inputs 200000`. Fails if the server ends, answers 500, logs an unexpected error, or lets
 * a user beside it wait.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a command reports on the terminal

import { parseArgs } from "node:util";
import { dataFolder, type Main, startMain } from "../e2e/main/kit.ts";
import { Client } from "../kit/mod.ts";
import { signedToken } from "./token.ts";
import { fuzzRoutes, type FuzzRun, fuzzSockets } from "./fuzz.ts";
import { Random } from "./random.ts";

/** What a user beside the attack may wait for an answer, at the 99th percentile. */
const MAX_P99_MS = 250;

/** Attackers at once, by kind. */
const SOCKET_FUZZERS = 6;
const ROUTE_FUZZERS = 3;

const SECRET = "a secret of the fuzzer, forty bytes long";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    inputs: { type: "string", default: "200000" },
  },
});
const seed = Number(values.seed);
const inputs = Number(values.inputs);
console.log(`seed ${seed}, ${inputs} inputs`);
const faults = [
  ...await attack("open server", {}, undefined, inputs / 2),
  ...await attack("with sign-in", { JWT_SECRET: SECRET }, await signedToken(SECRET), inputs / 2),
];
for (const fault of faults.slice(0, 20)) console.error(fault);
console.log(faults.length === 0 ? "no faults" : `${faults.length} faults`);
Deno.exit(faults.length === 0 ? 0 : 1);

/** Attacks one server; resolves to what went wrong. */
async function attack(
  name: string,
  env: Record<string, string>,
  token: string | undefined,
  count: number,
): Promise<string[]> {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path, LIMITS: "off", ...env });
  const run: FuzzRun = { url: server.url, token, left: count, sent: 0, faults: [] };
  const bystander = await watch(server, token);
  const random = (offset: number) => new Random(seed * 100 + offset);
  let done = false;
  const ended = server.ended.then((code) => {
    if (done) return;
    run.left = 0;
    run.faults.push(`the server ended with ${code}: ${server.printed().slice(-2_000)}`);
  });
  const attackers = [
    ...Array.from({ length: SOCKET_FUZZERS }, (_, i) => fuzzSockets(run, random(i))),
    ...Array.from({ length: ROUTE_FUZZERS }, (_, i) => fuzzRoutes(run, random(50 + i))),
  ];
  await Promise.race([Promise.all(attackers), ended, bystander.failed]);
  done = true;
  const { p99, max, error } = await bystander.stop();
  if (error !== undefined) {
    run.faults.push(`${name}: a user beside the attack: ${error}; ${server.printed().slice(-2_000)}`);
  }
  console.log(`${name}: ${run.sent} inputs, a user beside them waits p99 ${p99} ms, at most ${max} ms`);
  if (p99 > MAX_P99_MS) run.faults.push(`${name}: a user waits ${p99} ms at the 99th percentile`);
  const errors = server.warnings().filter((line) => /failed|caught/i.test(line));
  run.faults.push(...new Set(errors.map((line) => `${name}: logged ${line}`)));
  return run.faults;
}

/** A user who pings the server all the time. */
async function watch(server: Main, token: string | undefined) {
  const path = token === undefined ? "/ws" : `/ws?token=${token}`;
  await using stack = new AsyncDisposableStack();
  const client = stack.use(await Client.connect(server.url + path));
  await client.nextJson();
  const waits: number[] = [];
  let stopped = false;
  let error: unknown;
  const pinging = (async () => {
    while (!stopped) {
      const begun = performance.now();
      client.sendJson({ type: "ping" });
      while ((await client.nextJson(30_000)).type !== "pong");
      waits.push(performance.now() - begun);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })().catch((reason: unknown) => void (error = reason));
  const owned = stack.move();
  return {
    /** Resolves when the server no longer answers. */
    failed: pinging,
    async stop() {
      stopped = true;
      await pinging;
      await owned.disposeAsync();
      waits.sort((a, b) => a - b);
      const at = (share: number) => Math.round(waits[Math.floor(waits.length * share)] ?? 0);
      return { p99: at(0.99), max: Math.round(waits.at(-1) ?? 0), error };
    },
  };
}
