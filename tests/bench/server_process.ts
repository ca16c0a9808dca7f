/** Runs a contender in a process. */

import { TextLineStream } from "./load/lines.ts";
import type { Contender } from "./types.ts";

/** A running contender, killed at the end of the block. */
export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

/** Starts a contender and waits until it listens. */
export async function startServer({ name, command, cwd }: Contender): Promise<ServerProcess> {
  const [program, ...args] = command;
  const options = { args, stdin: "null", stdout: "piped", ...(cwd !== undefined && { cwd }) } as const;
  const child = new Deno.Command(program!, options).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .getReader();
  for (;;) {
    const { value } = await lines.read();
    if (value === undefined) throw new Error(`${name} ended before it listened`);
    const port = /^listening on (\d+)$/.exec(value)?.[1];
    if (port === undefined) continue;
    return {
      pid: child.pid,
      port: Number(port),
      async [Symbol.asyncDispose]() {
        // A graceful stop would take long with ten thousand connections.
        child.kill("SIGKILL");
        await lines.cancel();
        await child.status;
      },
    };
  }
}
