/**
 * Runs a server as a process: signals, exit codes and uncaught errors.
 *
 * @module
 */

import { messageOf } from "../contract/errors.ts";
import type { Log } from "../contract/log.ts";
import type { Host } from "../contract/plugin.ts";
import { sayAtTerminal } from "../contract/terminal.ts";
import { maxOpenFiles } from "./file_limit.ts";
import { exitOnError } from "./load_settings.ts";
import type { Server } from "../server/server.ts";

/**
 * Starts a server and stops it at SIGTERM or SIGINT. A second signal exits at once. A failed start prints one sentence
 * and exits with 1. So does a server that cannot recover from a problem, after its stop; a supervisor should restart it.
 * Uncaught errors and rejections, such as those of a plugin's own timers, are logged and do not end the process.
 *
 * ```ts ignore
 * import { run, Server } from "@plugboard/server";
 *
 * await run(new Server());
 * ```
 */
export async function run(
  server: Pick<Server, "use" | "start" | "stop"> & Partial<Pick<Server, "addresses">>,
): Promise<void> {
  removeEventListener("unhandledrejection", exitOnError);
  let log: Log | undefined;
  let stopping = false;
  const stop = async (exitCode: number) => {
    stopping = true;
    sayAtTerminal("Stopping. Press Ctrl-C again to exit at once.");
    await server.stop();
    Deno.exit(exitCode);
  };
  const interrupt = () => stopping ? Deno.exit(130) : stop(0);
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);
  const survive = (event: Event, error: unknown) => {
    if (log === undefined) return; // still starting: the process ends
    event.preventDefault();
    log.error("uncaught error", { error });
  };
  addEventListener("unhandledrejection", (event) => survive(event, event.reason));
  addEventListener("error", (event) => survive(event, event.error));
  const start = (host: Host) => {
    log = host.log;
    warnOfFileLimit(host);
    void host.failed.then((error) => {
      host.log.error("the server cannot recover, and exits", { error });
      if (!stopping) return stop(1);
    });
  };
  try {
    server.use({ name: "process", start });
    await server.start();
    const { addresses = [] } = server;
    for (const [, { url }] of addresses) sayAtTerminal(`Open ${url}/ in a browser. Press Ctrl-C to stop.`);
  } catch (error) {
    if (stopping) return;
    // deno-lint-ignore no-console -- the log may have failed to start
    console.error(messageOf(error));
    Deno.exit(1);
  }
}

function warnOfFileLimit({ log, maxConnections }: Host): void {
  const maxFiles = maxOpenFiles();
  if (maxFiles === undefined || maxFiles > maxConnections) return;
  log.warn(`the process may open only ${maxFiles} files, but each connection takes one`, { maxConnections });
}
