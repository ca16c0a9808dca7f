import { freePort } from "./ports.ts";
import { until, within } from "./wait.ts";

/** The project's folder. */
export const root = new URL("../../", import.meta.url);

/** A program of this project in its own process, stopped at the end of the block. */
export interface RunningExample extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Returns its output so far. */
  printed(): string;
  /** Sends a signal. Resolves to the exit code. */
  stop(signal?: Deno.Signal): Promise<number>;
}

/** How to run a program. */
export interface ExampleOptions {
  env?: Record<string, string>;
  cwd?: string | URL;
  /** The runtime's executable. @default {the one that runs the tests} */
  program?: string;
  /** The user; only root can set it. */
  uid?: number;
  gid?: number;
  /** Runs it on a terminal, where the runtime asks for missing permissions. */
  terminal?: boolean;
}

/** Runs Deno, by default in the project's folder. */
export function deno(
  args: string[],
  { env, cwd = root, program = Deno.execPath(), terminal = false, ...user }: ExampleOptions = {},
): Deno.Command {
  const io = { env: { NO_COLOR: "1", ...env }, stdout: "piped", stderr: "piped" } as const;
  if (!terminal) return new Deno.Command(program, { args, cwd, ...io, ...user });
  const command = ["exec", program, ...args].join(" ");
  // Input that stays open: its end would answer a question.
  return new Deno.Command("script", {
    args: ["-qec", command, "/dev/null"],
    cwd,
    stdin: "piped",
    ...io,
    ...user,
  });
}

/** Starts an example, or `main.ts`, and waits until it answers. It must read its port from `PORT`. */
export function runExample(path: string, env: Record<string, string> = {}): Promise<RunningExample> {
  return startExample(["run", "--allow-all", "--no-check", path], { env });
}

/** The same with Deno's arguments, starting with `run`. */
export async function startExample(
  args: string[],
  { env, ...options }: ExampleOptions = {},
): Promise<RunningExample> {
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = deno(args, { ...options, env: { ...env, PORT: String(port) } }).spawn();
  let printed = "";
  const reading = Promise.all([child.stdout, child.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) printed += text;
  }));
  let exited = false;
  child.status.then(() => exited = true);
  const stop = async (signal: Deno.Signal = "SIGTERM") => {
    if (!exited) child.kill(signal);
    const { code } = await within("the program's end", child.status, 60_000);
    if (options.terminal) await child.stdin.close().catch(() => {}); // It has ended with the program.
    await reading;
    return code;
  };
  try {
    await until(`an answer from ${args.join(" ")}`, async () => {
      if (exited) throw new Error(`It did not start: ${(await reading, printed)}`);
      return await answers(url);
    }, 60_000);
  } catch (error) {
    await stop("SIGKILL");
    throw error;
  }
  return {
    url,
    port,
    printed: () => printed,
    stop,
    [Symbol.asyncDispose]: async () => void await stop("SIGKILL"),
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).body?.cancel();
    return true;
  } catch {
    return false;
  }
}
