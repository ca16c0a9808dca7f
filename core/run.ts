/**
 * A server as a process: signals, exit codes.
 *
 * @module
 */

import { messageOf } from "./errors.ts";
import type { Server } from "./server.ts";

/**
 * Starts a server and sees it to its end. SIGTERM and SIGINT stop it properly, a second one at once; a failed
 * start prints one sentence and exits with 1.
 *
 * ```ts ignore
 * import { run, Server } from "@plugboard/server";
 *
 * await run(new Server());
 * ```
 */
export async function run(server: Server): Promise<void> {
  const signals = Deno.build.os === "windows" ? ["SIGINT" as const] : ["SIGINT" as const, "SIGTERM" as const];
  let stopping = false;
  const stop = async () => {
    if (stopping) Deno.exit(130);
    stopping = true;
    await server.stop();
    Deno.exit(0);
  };
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  try {
    await server.start();
  } catch (error) {
    // deno-lint-ignore no-console -- the log may be what failed to start
    console.error(messageOf(error));
    Deno.exit(1);
  }
}
