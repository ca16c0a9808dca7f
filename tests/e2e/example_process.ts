import { freePort } from "../kit/example.ts";
import { until, within } from "../kit/mod.ts";

/** The project's folder. */
export const root = new URL("../../", import.meta.url);

/** An example that runs, as a process of its own; ended at the end of the block. */
export interface ExampleProcess extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Sends a signal; resolves to the exit code. */
  stop(signal?: Deno.Signal): Promise<number>;
}

/** How to run an example. */
export interface ExampleOptions {
  /** Deno's arguments, from `run` on. */
  args: string[];
  env?: Record<string, string>;
  cwd?: string | URL;
  /** A path that answers with 200 when it has started. */
  ready: string;
}

/** Runs Deno in the project's folder. */
export function deno({ args, env = {}, cwd = root }: Omit<ExampleOptions, "ready">): Deno.Command {
  const quiet = { NO_COLOR: "1", ...env };
  return new Deno.Command(Deno.execPath(), { args, cwd, env: quiet, stdout: "null", stderr: "piped" });
}

/** Starts an example, and comes back when it answers. It finds its port in `PORT`. */
export async function startExample({ ready, env, ...options }: ExampleOptions): Promise<ExampleProcess> {
  const port = freePort();
  const child = deno({ ...options, env: { ...env, PORT: String(port) } }).spawn();
  const errors = new Response(child.stderr).text();
  let exited = false;
  child.status.then(() => exited = true);
  const url = `http://127.0.0.1:${port}`;
  await until("the example's start", async () => {
    if (exited) throw new Error(`It did not start: ${await errors}`);
    return await fetch(url + ready).then(async (response) => {
      await response.body?.cancel();
      return response.ok;
    }, () => false);
  });
  const stop = async (signal: Deno.Signal = "SIGTERM") => {
    if (!exited) child.kill(signal);
    const { code } = await within("the example's end", child.status, 15_000);
    await errors;
    return code;
  };
  return { url, port, stop, [Symbol.asyncDispose]: async () => void await stop() };
}
