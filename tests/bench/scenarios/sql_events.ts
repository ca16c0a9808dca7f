/** SQL events: the cost of progress events and of being able to stop a query. */

import type { Case, Measurement, Scenario } from "../types.ts";

const PROBE = new URL("./sql_events/probe.ts", import.meta.url).pathname;

async function probe(runIn: "process" | "worker"): Promise<Measurement> {
  const args = ["run", "--quiet", "--allow-all", PROBE, runIn];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (!success) throw new Error("The probe of SQL events failed");
  return { figures: JSON.parse(new TextDecoder().decode(stdout)), notes: [] };
}

function query(runIn: "process" | "worker"): Case {
  return {
    name: `a query of 300,000 rows with progress, in a ${runIn}, against a bare worker`,
    figure: "times",
    budgets: [{ contender: "kernel", figure: "times", atMost: 1.05 }],
    admits: ({ name }) => name === "kernel",
    run: () => probe(runIn),
  };
}

/** Queries with progress. */
export const sqlEventsScenario: Scenario = {
  name: "sql events",
  cases: [query("worker"), query("process")],
};
