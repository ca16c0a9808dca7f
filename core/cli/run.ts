/**
 * A server as a process: signals, exit codes, and what nobody caught.
 *
 * @module
 */

import { messageOf } from "../contract/errors.ts";
import { tellMistake } from "./load_settings.ts";
import type { Log } from "../contract/log.ts";
import type { Server } from "../server/server.ts";

/**
 * Starts a server and sees it to its end. SIGTERM and SIGINT stop it properly, a second one at once; a failed
 * start prints one sentence and exits with 1. What a plugin throws where no guard can be, in a timer of its own or
 * in a promise nobody awaits, is logged instead of ending the process.
 *
 * ```ts ignore
 * import { run, Server } from "@plugboard/server";
 *
 * await run(new Server());
 * ```
 */
export async function run(server: Pick<Server, "use" | "start" | "stop">): Promise<void> {
  removeEventListener("unhandledrejection", tellMistake);
  let log: Log | undefined;
  let stopping = false;
  const stop = async () => {
    if (stopping) Deno.exit(130);
    stopping = true;
    await server.stop();
    Deno.exit(0);
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  const survive = (event: Event, error: unknown) => {
    if (log === undefined) return; // still starting: better no server than half of one
    event.preventDefault();
    log.error("something failed that nobody caught", { error });
  };
  addEventListener("unhandledrejection", (event) => survive(event, event.reason));
  addEventListener("error", (event) => survive(event, event.error));
  try {
    server.use({ name: "process", start: (host) => void (log = host.log) });
    await server.start();
  } catch (error) {
    if (stopping) return;
    // deno-lint-ignore no-console -- the log may be what failed to start
    console.error(messageOf(error));
    Deno.exit(1);
  }
}
