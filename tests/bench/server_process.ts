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
  if (command.some((word) => word.includes("$port"))) return await startAtPort(name, command);
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

/** Starts a program that gets its port by an argument, and waits until it accepts connections. */
async function startAtPort(name: string, command: readonly string[]): Promise<ServerProcess> {
  const port = freePort();
  const [program, ...args] = command.map((word) => word.replace("$port", String(port)));
  const child = new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  let ended = false;
  child.status.then(() => ended = true);
  while (!await accepts(port)) {
    if (ended) throw new Error(`${name} ended before it listened`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    pid: child.pid,
    port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

function freePort(): number {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  return listener.addr.port;
}

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ port, hostname: "127.0.0.1" })).close();
    return true;
  } catch {
    return false;
  }
}
