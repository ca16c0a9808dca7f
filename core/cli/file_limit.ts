/** Where Linux shows the limits of this process. */
const LIMITS_FILE = "/proc/self/limits";

/** Returns how many files this process may open at once; sockets count. `undefined` if it may not read that. */
export function maxOpenFiles(): number | undefined {
  // On a terminal, the runtime would stop and ask.
  if (Deno.permissions.querySync({ name: "read", path: LIMITS_FILE }).state !== "granted") return;
  try {
    const [, limit] = Deno.readTextFileSync(LIMITS_FILE).match(/^Max open files +(\d+)/m) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return; // Another system. With less than --allow-all, the runtime refuses this file, too.
  }
}
