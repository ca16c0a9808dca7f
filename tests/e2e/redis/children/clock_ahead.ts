/** Sets the clock of this process ahead, as everything that is imported later reads it. */

const now = Date.now;
const aheadMs = Number(Deno.args[4]);
Date.now = () => now() + aheadMs;
