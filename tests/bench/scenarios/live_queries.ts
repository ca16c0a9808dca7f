/** What live queries cost: a write that concerns one of many, a write that concerns none, an idle one. */

import type { Figures, Scenario } from "../types.ts";

const PROBE = new URL("./live_queries/probe.ts", import.meta.url).pathname;

async function probe(what: "touch" | "quiet" | "memory"): Promise<{ figures: Figures; notes: string[] }> {
  const args = ["run", "--quiet", "--allow-all", "--v8-flags=--expose-gc", PROBE, what];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (!success) throw new Error(`The probe of ${what} failed`);
  return { figures: JSON.parse(new TextDecoder().decode(stdout)), notes: [] };
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
    name: "a write to a table nobody listens to, against the same without live queries",
    figure: "cpuMicros",
    budgets: [{ contender: "kernel", figure: "times", atMost: 1.2 }],
    admits: onlyKernel,
    run: () => probe("quiet"),
  }, {
    name: "an idle live query with one row and one listener",
    figure: "kilobytes",
    budgets: [{ contender: "kernel", figure: "kilobytes", atMost: 4 }],
    admits: onlyKernel,
    run: () => probe("memory"),
  }],
};
