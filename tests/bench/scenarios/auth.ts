/** Sign-in and limits: the cost per connect and per message. */

import { cpuSeconds, openFilesLimit } from "../os.ts";
import { startServer } from "../server_process.ts";
import type { Contender, Figures, Measurement, Scenario, Tools } from "../types.ts";
import { connectAll } from "./auth/connects.ts";
import { waitsDuring } from "./auth/flood.ts";
import { makeTokens } from "./auth/tokens.ts";

const file = (name: string) => new URL(`./auth/${name}`, import.meta.url).pathname;
const deno = (name: string) => [Deno.execPath(), "run", "--quiet", "--allow-all", file(name)];

/** Ten times the default limit of messages. */
const FLOOD_PER_SECOND = 6_000;

const CONNECTS = 10_000;
const OTHER_FILES = 200;

/** Connections before the measurement, to exclude the cost of compiling code. */
const FIRST_CONNECTS = 500;

async function probe(what: "permission" | "limits"): Promise<Figures> {
  const [program, ...args] = deno("probe.ts");
  const options: Deno.CommandOptions = { args: [...args, what], stderr: "inherit" };
  const { success, stdout } = await new Deno.Command(program!, options).output();
  if (!success) throw new Error(`The probe of ${what} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Measures the server's CPU time per connect, in microseconds. */
async function costOfConnects(
  contender: Contender,
  paths: readonly string[],
): Promise<{ perSecond: number; cpuMicros: number }> {
  await using server = await startServer(contender);
  const first = await connectAll(server.port, paths.slice(0, FIRST_CONNECTS));
  const before = cpuSeconds(server.pid);
  const rest = await connectAll(server.port, paths.slice(FIRST_CONNECTS));
  const used = cpuSeconds(server.pid) - before;
  first.close();
  rest.close();
  const count = paths.length - FIRST_CONNECTS;
  return { perSecond: count / rest.seconds, cpuMicros: used * 1e6 / count };
}

/**
 * Measures connects with a token, without the time of `jose`: the difference between a bare server that only verifies the
 * token and one that does not. (Verifying the same tokens in sequence takes a third of that time, since each verification
 * waits for another thread.)
 */
async function measureConnects(contender: Contender): Promise<Measurement> {
  const count = Math.min(CONNECTS, openFilesLimit() - OTHER_FILES);
  const plain: string[] = Array(count).fill("/echo");
  if (contender.name === "bare") return { figures: await costOfConnects(contender, plain), notes: [] };
  const paths = (await makeTokens(count)).map((token) => `/echo?token=${token}`);
  const command = (name: string) => ({ ...contender, command: deno(name) });
  const signedIn = await costOfConnects(command("server.ts"), paths);
  const bareJose = await costOfConnects(command("bare_jose.ts"), paths);
  const bare = await costOfConnects(command("../../contenders/bare.ts"), plain);
  const without = await costOfConnects(contender, plain);
  const jose = bareJose.cpuMicros - bare.cpuMicros;
  const notes = [
    `${Math.round(signedIn.cpuMicros)} µs with a token, of which jose takes ${Math.round(jose)} µs; ` +
    `the kernel alone takes ${Math.round(without.cpuMicros)} µs`,
  ];
  return { figures: { ...signedIn, cpuMicros: signedIn.cpuMicros - jose }, notes };
}

/** Measures the p99 of normal clients during a flood of ten times the limit. A note has the p99 without the flood. */
async function measureFlood(contender: Contender, { seconds }: Tools): Promise<Measurement> {
  await using server = await startServer({ ...contender, command: [...deno("server.ts"), "--anonymous"] });
  await waitsDuring(server.port, 0, 1);
  const calm = await waitsDuring(server.port, 0, seconds);
  const flooded = await waitsDuring(server.port, FLOOD_PER_SECOND, seconds);
  const at = (waits: readonly number[], q: number) => waits[Math.floor(waits.length * q)]!;
  const before = `without the flood p99 was ${(at(calm, 0.99) / 1000).toFixed(2)} ms`;
  const times = `${(at(flooded, 0.99) / at(calm, 0.99)).toFixed(2)} × with it`;
  return { figures: { p50: at(flooded, 0.5), p99: at(flooded, 0.99) }, notes: [`${before}, ${times}`] };
}

const onlyKernel = ({ name }: Contender) => name === "kernel";

/** Sign-in and limits. */
export const authScenario: Scenario = {
  name: "auth",
  cases: [{
    name: "a permission check of a publish",
    figure: "cpuMicros",
    budgets: [{ contender: "kernel", figure: "cpuMicros", atMost: 1 }],
    admits: onlyKernel,
    run: async () => ({ figures: await probe("permission"), notes: [] }),
  }, {
    name: "a message counted by the limits",
    figure: "cpuMicros",
    // The number returned by the clock takes 16 bytes. Nothing else is allocated.
    budgets: [{ contender: "kernel", figure: "bytes", atMost: 17 }],
    admits: onlyKernel,
    run: async () => ({ figures: await probe("limits"), notes: [] }),
  }, {
    name: `${CONNECTS} connects with a token each, without jose's own time`,
    figure: "cpuMicros",
    budgets: [{ contender: "kernel", against: "bare", figure: "cpuMicros", atMost: 1.5 }],
    admits: ({ name }) => name === "bare" || name === "kernel",
    run: measureConnects,
  }, {
    name: "20 normal clients during a flood",
    figure: "p99",
    budgets: [],
    admits: onlyKernel,
    run: measureFlood,
  }],
};
