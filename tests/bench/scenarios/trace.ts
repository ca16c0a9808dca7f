/** Traces: the cost of a traced call with traces off and on. */

import type { Case, Measurement, Scenario } from "../types.ts";

const PROBE = new URL("./trace/probe.ts", import.meta.url).pathname;

async function probe(state: "on" | "off"): Promise<Measurement> {
  const args = ["run", "--quiet", "--allow-all", PROBE, state];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (!success) throw new Error("The probe of traces failed");
  return { figures: JSON.parse(new TextDecoder().decode(stdout)), notes: [] };
}

const onlyKernel: Case["admits"] = ({ name }) => name === "kernel";

/** Traced calls. */
export const traceScenario: Scenario = {
  name: "trace",
  cases: [{
    name: "a call of a traced service with traces off, against an untraced one",
    figure: "times",
    budgets: [{ contender: "kernel", figure: "times", atMost: 1.02 }],
    admits: onlyKernel,
    run: () => probe("off"),
  }, {
    name: "a call of a traced service with traces on, into a file",
    figure: "cpuMicros",
    budgets: [{ contender: "kernel", figure: "cpuMicros", atMost: 100 }],
    admits: onlyKernel,
    run: () => probe("on"),
  }],
};
