import { until } from "./wait.ts";

/** An example or `main.ts`, running in a process of its own on a free port. */
export interface RunningExample extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

/** Starts a program of this project and waits until it answers. It must read its port from `PORT`. */
export async function runExample(path: string, env: Record<string, string> = {}): Promise<RunningExample> {
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL(`../../${path}`, import.meta.url).pathname],
    env: { PORT: String(port), NO_COLOR: "1", ...env },
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  await until(`${path} to answer`, async () => {
    try {
      await (await fetch(url)).body?.cancel();
      return true;
    } catch {
      return false;
    }
  }, 30_000);
  return {
    url,
    port,
    async [Symbol.asyncDispose]() {
      process.kill("SIGKILL");
      await process.status;
    },
  };
}

/** A port nobody uses right now. */
export function freePort(): number {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  return listener.addr.port;
}
