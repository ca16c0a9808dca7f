/**
 * Acknowledged writes of 100 clients at once: the store, which groups them, beside bare SQLite with a transaction each.
 */

import type { Durability } from "../../../plugins/persistence.ts";
import type { Budget, Case, Contender, Measurement, Scenario, Tools } from "../types.ts";

const PROBE = new URL("./durable_writes/probe.ts", import.meta.url).pathname;

async function measure(
  { name }: Contender,
  durability: Durability,
  { seconds }: Pick<Tools, "seconds">,
): Promise<Measurement> {
  const kind = name === "bare" ? "single" : "grouped";
  const args = ["run", "--quiet", "--allow-all", PROBE, kind, durability, String(seconds)];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (!success) throw new Error("The probe of durable writes failed");
  return { figures: JSON.parse(new TextDecoder().decode(stdout)), notes: [] };
}

function writes(durability: Durability, what: string, budgets: readonly Budget[]): Case {
  return {
    name: `100 writers, durability ${durability} (${what})`,
    figure: "perSecond",
    budgets,
    admits: ({ name }) => name === "bare" || name === "kernel",
    run: (contender, tools) => measure(contender, durability, tools),
  };
}

/** Durable writes. */
export const durableWritesScenario: Scenario = {
  name: "durable writes",
  cases: [
    writes("full", "each group waits for the disk", [
      { contender: "kernel", against: "bare", figure: "perSecond", atLeast: 20 },
    ]),
    // Nobody waits for the disk here, so there is less to share: a transaction costs what ten rows cost.
    writes("normal", "survives kill -9", []),
  ],
};
