import { Inbox, within } from "./wait.ts";

/** A process starts slowly on a busy machine. */
const CHILD_MS = 60_000;

/** How to run a script; another program takes only `maxFiles`. */
export interface ChildOptions {
  args?: string[];
  /** Flags of the runtime. */
  flags?: string[];
  /** Files and sockets it may have open. */
  maxFiles?: number;
}

/** A script, or another program with its arguments, in a process of its own. */
export class Child implements AsyncDisposable {
  /** The lines of its standard output. */
  readonly lines = new Inbox<string>();
  /** Resolves when it has ended. */
  readonly ended: Promise<{ code: number; stderr: string }>;
  readonly #process: Deno.ChildProcess;

  constructor(script: URL | readonly string[], { args = [], flags = [], maxFiles }: ChildOptions = {}) {
    const command = script instanceof URL
      ? [Deno.execPath(), "run", "--allow-all", "--quiet", ...flags, script.href, ...args]
      : script;
    const [program, ...rest] = maxFiles === undefined
      ? command
      : ["sh", "-c", `ulimit -n ${maxFiles} && exec "$0" "$@"`, ...command];
    this.#process = new Deno.Command(program!, {
      args: rest,
      env: { NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = this.#read();
    const stderr = new Response(this.#process.stderr).text();
    this.ended = Promise.all([this.#process.status, stderr, output])
      .then(([{ code }, stderr]) => ({ code, stderr }));
  }

  /** Returns the next line of its standard output. */
  line(): Promise<string> {
    return this.lines.next("a line from the child process", CHILD_MS);
  }

  /** Waits for its end. */
  end(): Promise<{ code: number; stderr: string }> {
    return within("the end of the child process", this.ended, CHILD_MS);
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.lines.put(line);
    }
    this.lines.end(new Error("The child process has ended"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.ended;
  }
}
