import fc from "npm:fast-check@4.10.2";

export default fc;
export * from "npm:fast-check@4.10.2";

/**
 * In the CI, every run has the same inputs: a change is refused for its own faults, not for what chance finds in others.
 * Elsewhere each run has inputs of its own. `FC_SEED=7 deno test …` repeats a run.
 */
const seed = Deno.env.get("FC_SEED") ?? (Deno.env.get("PLUGBOARD_CI") ? "1" : undefined);
if (seed !== undefined) fc.configureGlobal({ seed: Number(seed) });
