import { within } from "../../kit/mod.ts";

/** A server in a child process, with a database file. */
export class ServerProcess implements AsyncDisposable {
  readonly url: string;
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;

  private constructor(child: Deno.ChildProcess, output: ReadableStreamDefaultReader<string>, url: string) {
    this.#child = child;
    this.#output = output;
    this.url = url;
  }

  static async start(file: string): Promise<ServerProcess> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", new URL("./server.ts", import.meta.url).pathname, file],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let printed = "";
    while (!printed.includes("\n")) {
      const { value, done } = await within("the server's start", output.read(), 60_000);
      if (done) throw new Error("The server ended before it listened");
      printed += value;
    }
    return new ServerProcess(child, output, printed.trim());
  }

  /** Kills the process with SIGKILL. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#output.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.kill();
    } catch { /* killed already */ }
  }
}
