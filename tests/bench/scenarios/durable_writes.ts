/**
 * Acknowledged writes and durable publications of 100 concurrent clients: the store, which groups them, against the same
 * statements on bare SQLite with a transaction each.
 */

import type { Durability } from "../../../plugins/persistence.ts";
import type { Budget, Case, Contender, Measurement, Scenario, Tools } from "../types.ts";

const PROBE = new URL("./durable_writes/probe.ts", import.meta.url).pathname;

async function measure(
  { name }: Contender,
  what: string,
  durability: Durability,
  { seconds }: Pick<Tools, "seconds">,
): Promise<Measurement> {
  const kind = name === "bare" ? "single" : "grouped";
  const args = ["run", "--quiet", "--allow-all", PROBE, what, kind, durability, String(seconds)];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (!success) throw new Error("The probe of durable writes failed");
  return { figures: JSON.parse(new TextDecoder().decode(stdout)), notes: [] };
}

function writes(
  what: "rows" | "publications",
  durability: Durability,
  budgets: readonly Budget[] = [],
): Case {
  return {
    name: `${what} of 100 clients, durability ${durability} (${MEANING[durability]})`,
    figure: "perSecond",
    budgets,
    admits: ({ name }) => name === "bare" || name === "kernel",
    run: (contender, tools) => measure(contender, what, durability, tools),
  };
}

const MEANING: Readonly<Record<Durability, string>> = {
  full: "each group waits for the disk",
  normal: "survives kill -9",
  off: "survives kill -9, without syncing to disk",
};

const twentyfold: Budget = { contender: "kernel", against: "bare", figure: "perSecond", atLeast: 20 };

/** Durable writes. */
export const durableWritesScenario: Scenario = {
  name: "durable writes",
  cases: [
    writes("publications", "full", [twentyfold]),
    writes("rows", "full", [twentyfold]),
    // No write waits for the disk here, so grouping saves less: a transaction costs as much as ten rows.
    writes("publications", "normal"),
    writes("rows", "normal"),
  ],
};
