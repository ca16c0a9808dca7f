/**
 * Runs a server as a process: signals, exit codes and uncaught errors.
 *
 * @module
 */

import { messageOf } from "../contract/errors.ts";
import { exitOnError } from "./load_settings.ts";
import type { Log } from "../contract/log.ts";
import type { Server } from "../server/server.ts";

/**
 * Starts a server and stops it at SIGTERM or SIGINT. A second signal exits at once. A failed start prints one sentence
 * and exits with 1. Uncaught errors and rejections, such as those of a plugin's own timers, are logged and do not end
 * the process.
 *
 * ```ts ignore
 * import { run, Server } from "@plugboard/server";
 *
 * await run(new Server());
 * ```
 */
export async function run(server: Pick<Server, "use" | "start" | "stop">): Promise<void> {
  removeEventListener("unhandledrejection", exitOnError);
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
    if (log === undefined) return; // still starting: the process ends
    event.preventDefault();
    log.error("uncaught error", { error });
  };
  addEventListener("unhandledrejection", (event) => survive(event, event.reason));
  addEventListener("error", (event) => survive(event, event.error));
  try {
    server.use({ name: "process", start: (host) => void (log = host.log) });
    await server.start();
  } catch (error) {
    if (stopping) return;
    // deno-lint-ignore no-console -- the log may have failed to start
    console.error(messageOf(error));
    Deno.exit(1);
  }
}
