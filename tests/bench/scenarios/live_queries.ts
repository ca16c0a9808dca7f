/** Live queries: the cost of a write that wakes one of many, of a write that wakes none, and of an idle query. */

import { TextLineStream } from "../load/lines.ts";
import { startServer } from "../server_process.ts";
import type { Contender, Figures, Measurement, Scenario, Tools } from "../types.ts";
import { LISTENERS_PER_ROW, ROWS, WRITES_PER_SECOND } from "./live_queries/stamps.ts";

const file = (name: string) => new URL(`./live_queries/${name}`, import.meta.url).pathname;
const deno = (name: string) => [Deno.execPath(), "run", "--quiet", "--allow-all", file(name)];

const PROBE = file("probe.ts");

async function probe(what: "touch" | "unwatched" | "memory"): Promise<{ figures: Figures; notes: string[] }> {
  const args = ["run", "--quiet", "--allow-all", "--v8-flags=--expose-gc", PROBE, what];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (!success) throw new Error(`The probe of ${what} failed`);
  return { figures: JSON.parse(new TextDecoder().decode(stdout)), notes: [] };
}

/** Measures the time from a write to the delivery of its last diff. */
async function measureDiffs({ name }: Contender, { seconds }: Tools): Promise<Measurement> {
  const writing = Math.max(3, Math.round(seconds));
  await using server = await startServer({ name, command: deno("writer.ts"), speaks: {} });
  const [program, ...args] = [...deno("listeners.ts"), String(server.port), String(writing)];
  const listeners = new Deno.Command(program!, { args, stdin: "null", stdout: "piped" }).spawn();
  const lines = listeners.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .getReader();
  const { value: ready } = await lines.read();
  if (ready !== "ready") throw new Error("The listeners could not subscribe");
  const answer = await fetch(`http://127.0.0.1:${server.port}/write?seconds=${writing}`);
  const { cpuMicros } = await answer.json();
  const { value: heard = "" } = await lines.read();
  await listeners.status;
  const { p50, p99, p999, missing, closed } = JSON.parse(heard);
  const deliveries = writing * WRITES_PER_SECOND * LISTENERS_PER_ROW;
  const notes = missing > 0
    ? [`${missing} of ${deliveries} diffs did not arrive, ${closed} sockets closed`]
    : [];
  const figures = {
    perSecond: (deliveries - missing) / writing,
    cpuMicros: cpuMicros / deliveries,
    // Lost diffs have no latency.
    ...(missing === 0 && { p50, p99, p999 }),
  };
  return { figures, notes };
}

const onlyKernel = ({ name }: { name: string }) => name === "kernel";

/** Live queries. */
export const liveQueriesScenario: Scenario = {
  name: "live_queries",
  cases: [{
    name: "a write that touches one of 10,000 live queries, against one of 10",
    figure: "cpuMicros",
    budgets: [{ contender: "kernel", figure: "times", atMost: 1.5 }],
    admits: onlyKernel,
    run: () => probe("touch"),
  }, {
    name: "a write to a table without live queries, against the same without the plugin",
    figure: "cpuMicros",
    budgets: [{ contender: "kernel", figure: "times", atMost: 1.2 }],
    admits: onlyKernel,
    run: () => probe("unwatched"),
  }, {
    name: "an idle live query with one row and one listener",
    figure: "kilobytes",
    budgets: [{ contender: "kernel", figure: "kilobytes", atMost: 4 }],
    admits: onlyKernel,
    run: () => probe("memory"),
  }, {
    name:
      `${WRITES_PER_SECOND} writes a second to ${ROWS} live queries with ${LISTENERS_PER_ROW} listeners each`,
    figure: "p99",
    budgets: [{ contender: "kernel", figure: "p99", atMost: 100_000 }],
    admits: onlyKernel,
    run: measureDiffs,
  }],
};
