import assert from "node:assert/strict";
import config from "../../../deno.json" with { type: "json" };
import { deno, type ExampleOptions, root } from "../../kit/example.ts";
import { Inbox, within } from "../../kit/mod.ts";

/** The command of the task `start`. The task itself would survive a kill of its shell. */
const [, ...START] = config.tasks.start.command.split(" ");

/** The flags of the task, without the program. */
export const FLAGS = START.slice(0, -1);

/** The timeout for a start, long enough for a busy machine. */
const START_MS = 30_000;

/** A line of the log. */
export interface LogLine {
  readonly level: string;
  readonly logger: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A running `main.ts`; killed at the end of the block. */
export interface Main extends AsyncDisposable {
  readonly url: string;
  /** All output. */
  printed(): string;
  /** Warnings and errors, as `logger: message`. */
  warnings(): string[];
  kill(signal: Deno.Signal): void;
  /** Resolves to the exit code. */
  readonly ended: Promise<number>;
  /** Stops it. Resolves to the exit code. */
  stop(): Promise<number>;
}

/** Options of {@linkcode startMain}. */
export interface MainOptions extends Omit<ExampleOptions, "env"> {
  /** Arguments of Deno, starting with `run`. */
  args?: string[];
  /** The beginning of the line to wait for. */
  ready?: string;
}

/** Returns a new data folder inside the one that the server has permission for. */
export function dataFolder(): { path: string } & Disposable {
  const path = `data/test-${crypto.randomUUID()}`;
  const remove = () => Deno.removeSync(new URL(path, root), { recursive: true });
  return { path, [Symbol.dispose]: remove };
}

/** Runs `main.ts` to its end. Resolves to its output. */
export async function runMain(
  env: Record<string, string>,
  args: string[] = [],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await deno([...START, ...args], { env: { PORT: "0", ...env } }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Starts `main.ts` on a free port and waits until it logs the `ready` line. */
export async function startMain(
  env: Record<string, string>,
  { args = START, ready = "listening", ...options }: MainOptions = {},
): Promise<Main> {
  const child = deno(args, { ...options, env: { PORT: "0", ...env } }).spawn();
  let printed = "";
  const lines: LogLine[] = [];
  const arriving = new Inbox<LogLine>();
  const reading = Promise.all([child.stdout, child.stderr].map(async (stream) => {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      printed += text;
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      const parsed = parts.filter((part) => part.startsWith("{")).map((part): LogLine => JSON.parse(part));
      for (const line of parsed) {
        lines.push(line);
        arriving.put(line);
      }
    }
  }));
  let exited = false;
  const ended = child.status.then(async ({ code }) => {
    exited = true;
    await reading;
    arriving.end(new Error(`It exited with ${code}: ${printed}`));
    return code;
  });
  const kill = (signal: Deno.Signal) => void (exited || child.kill(signal));
  const dispose = async () => {
    kill("SIGKILL");
    await ended;
  };

  let url = "";
  try {
    for (let message = ""; !message.startsWith(ready);) {
      const line = await arriving.next(`the line "${ready}"`, START_MS);
      message = line.message;
      url = String(line.fields.url ?? "").replace("0.0.0.0", "127.0.0.1");
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    url,
    printed: () => printed,
    warnings: () => lines.filter(isWarning).map(({ logger, message }) => `${logger}: ${message}`),
    kill,
    ended,
    stop() {
      kill("SIGTERM");
      return within("the end of the server", ended, 60_000);
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function isWarning({ level }: LogLine): boolean {
  return ["WARN", "ERROR", "FATAL"].includes(level);
}

/** The warning of a server without sign-in. */
export const OPEN = "auth: no sign-in is configured: every client on this machine has all permissions, " +
  "also for channels that begin with $ (set JWT_SECRET, JWKS_URL or API_KEYS to change that)";

/** Stops the server and checks its exit code and its warnings. That of few files depends on the machine. */
export async function stopsCleanly(server: Main, warnings: readonly string[] = []): Promise<void> {
  assert.equal(await server.stop(), 0);
  const given = server.warnings().filter((each) => !each.startsWith("process: the process may open only"));
  assert.deepEqual(given, warnings);
}
