import assert from "node:assert/strict";
import config from "../../../deno.json" with { type: "json" };
import { deno, type ExampleOptions, root } from "../../kit/example.ts";
import { Inbox, within } from "../../kit/mod.ts";

/** What the task `start` runs, without the task: that would outlive a kill of its shell. */
const [, ...START] = config.tasks.start.command.split(" ");

/** The flags of the task, without the program. */
export const FLAGS = START.slice(0, -1);

/** Starting takes its time on a busy machine. */
const START_MS = 30_000;

/** A line of the log. */
export interface LogLine {
  readonly level: string;
  readonly logger: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** `main.ts` as a process; killed at the end of the block if it still runs. */
export interface Main extends AsyncDisposable {
  readonly url: string;
  /** Everything it has said. */
  printed(): string;
  /** Warnings and errors, as `logger: message`. */
  complaints(): string[];
  kill(signal: Deno.Signal): void;
  /** Its exit code, as soon as there is one. */
  readonly ended: Promise<number>;
  /** Tells it to stop; resolves to the exit code. */
  stop(): Promise<number>;
}

/** How to start it. */
export interface MainOptions extends Omit<ExampleOptions, "env"> {
  /** Deno's, from `run` on. */
  args?: string[];
  /** The line to wait for. */
  ready?: string;
}

/** A folder of its own within the one that the server may use. */
export function dataFolder(): { path: string } & Disposable {
  const path = `data/test-${crypto.randomUUID()}`;
  const remove = () => Deno.removeSync(new URL(path, root), { recursive: true });
  return { path, [Symbol.dispose]: remove };
}

/** Runs `main.ts` to its end, for what does not start; gives what it said. */
export async function runMain(
  env: Record<string, string>,
  args: string[] = [],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await deno([...START, ...args], { env: { PORT: "0", ...env } }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Starts `main.ts` on a free port, and waits until it listens, or says what else it is to have said. */
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
    arriving.end(new Error(`It has ended with ${code}: ${printed}`));
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
    complaints: () => lines.filter(isComplaint).map(({ logger, message }) => `${logger}: ${message}`),
    kill,
    ended,
    stop() {
      kill("SIGTERM");
      return within("the end of the server", ended, 15_000);
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function isComplaint({ level }: LogLine): boolean {
  return ["WARN", "ERROR", "FATAL"].includes(level);
}

/** What an open server says at its start. */
export const OPEN = "auth: no sign-in is configured: every client on this machine has all permissions " +
  "(set JWT_SECRET, JWKS_URL or API_KEYS to change that)";

/** Checks that the server had nothing to complain about but this, and ends well. */
export async function endsWell(server: Main, complaints: readonly string[] = []): Promise<void> {
  assert.equal(await server.stop(), 0);
  assert.deepEqual(server.complaints(), complaints);
}
