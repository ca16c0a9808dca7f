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
  /** Resolves when it says a line that begins so. */
  says(message: string): Promise<LogLine>;
  kill(signal: Deno.Signal): void;
  /** Its exit code, as soon as there is one. */
  readonly ended: Promise<number>;
  /** Tells it to stop; resolves to the exit code. */
  stop(): Promise<number>;
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

/** Starts `main.ts` on a free port, and waits until it listens. */
export async function startMain(
  env: Record<string, string>,
  { args = START, ...options }: Omit<ExampleOptions, "env"> & { args?: string[] } = {},
): Promise<Main> {
  const child = deno(args, { ...options, env: { PORT: "0", ...env } }).spawn();
  let printed = "";
  const lines: LogLine[] = [];
  const watchers = new Set<Inbox<LogLine>>();
  const reading = Promise.all([child.stdout, child.stderr].map(async (stream) => {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      printed += text;
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      for (const line of parts.filter((part) => part.startsWith("{")).map((part) => JSON.parse(part))) {
        lines.push(line);
        for (const each of watchers) each.put(line);
      }
    }
  }));
  let exited = false;
  const ended = child.status.then(async ({ code }) => {
    exited = true;
    await reading;
    for (const each of watchers) each.end(new Error(`It has ended with ${code}: ${printed}`));
    return code;
  });
  const kill = (signal: Deno.Signal) => void (exited || child.kill(signal));
  const dispose = async () => {
    kill("SIGKILL");
    await ended;
  };

  async function says(message: string): Promise<LogLine> {
    const inbox = new Inbox<LogLine>();
    for (const line of lines) inbox.put(line);
    watchers.add(inbox);
    if (exited) inbox.end(new Error(`It has ended: ${printed}`));
    try {
      for (;;) {
        const line = await inbox.next(`the line "${message}"`, START_MS);
        if (line.message.startsWith(message)) return line;
      }
    } finally {
      watchers.delete(inbox);
    }
  }

  try {
    const { fields } = await says("listening");
    return {
      url: (fields.url as string).replace("0.0.0.0", "127.0.0.1"),
      printed: () => printed,
      complaints: () =>
        lines.filter(({ level, fields: { reason } }) =>
          level !== "INFO" && reason !== "The query was removed"
        )
          .map(({ logger, message }) => `${logger}: ${message}`),
      says,
      kill,
      ended,
      stop() {
        kill("SIGTERM");
        return within("the end of the server", ended, 15_000);
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** What an open server says at its start. */
export const OPEN = "auth: nobody has to sign in: everybody on this machine may do everything " +
  "(JWT_SECRET, JWKS_URL or API_KEYS changes that)";

/** Checks that the server had nothing to complain about but this, and ends well. */
export async function endsWell(server: Main, complaints: readonly string[] = []): Promise<void> {
  assert.equal(await server.stop(), 0);
  assert.deepEqual(server.complaints(), complaints);
}
