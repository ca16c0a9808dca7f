/** The message hooks of twelve plugins. They run for every message, so they must not allocate. */

import type { Contender, Measurement, Scenario } from "../types.ts";

const PROBE = new URL("./hooks/probe.ts", import.meta.url).pathname;

async function measureHooks(_: Contender): Promise<Measurement> {
  const args = ["run", "--quiet", "--allow-all", PROBE];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (!success) throw new Error("The probe of the hooks failed");
  return { figures: JSON.parse(new TextDecoder().decode(stdout)), notes: [] };
}

/** Dispatch of a message to twelve plugins, in a separate process. */
export const hooksScenario: Scenario = {
  name: "hooks",
  cases: [{
    name: "message hook of 12 plugins",
    figure: "cpuMicros",
    // A promise takes more than 30 bytes, the smallest object 12. The rest belongs to the measurement.
    budgets: [{ contender: "kernel", figure: "bytes", atMost: 0.1 }],
    admits: ({ name }) => name === "kernel",
    run: measureHooks,
  }],
};
