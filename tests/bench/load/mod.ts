/** The bench's side of the load process. */

import type { Dialogue } from "../types.ts";
import type { DriveOptions, DriveResult } from "./drive.ts";
import { TextLineStream } from "./lines.ts";

export type { DriveOptions, DriveResult } from "./drive.ts";

/** A command to the load process. */
export type Command =
  | { do: "open"; port: number; dialogue: Dialogue; count: number }
  | { do: "drive"; options: DriveOptions }
  | { do: "hold"; seconds: number }
  | { do: "close" };

/** A reply of the load process. */
export type Reply = { result: unknown } | { error: string };

/** Clients in a separate process. Calls must not overlap. */
export class Load implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #commands: WritableStreamDefaultWriter<Uint8Array>;
  readonly #replies: ReadableStreamDefaultReader<string>;

  constructor() {
    const program = new URL("./process.ts", import.meta.url).pathname;
    const args = ["run", "--quiet", "--allow-all", program];
    this.#process = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#commands = this.#process.stdin.getWriter();
    this.#replies = this.#process.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream())
      .getReader();
  }

  /** Opens more connections and waits until they are ready. Resolves to the duration. */
  open(port: number, dialogue: Dialogue, count: number): Promise<{ seconds: number }> {
    return this.#ask({ do: "open", port, dialogue, count });
  }

  /** Loads the server in a closed loop and measures. */
  drive(options: DriveOptions): Promise<DriveResult> {
    return this.#ask({ do: "drive", options });
  }

  /** Keeps the connections open for some time. Resolves to the number that closed. */
  hold(seconds: number): Promise<{ closed: number }> {
    return this.#ask({ do: "hold", seconds });
  }

  /** Closes all connections. */
  close(): Promise<unknown> {
    return this.#ask({ do: "close" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#commands.close().catch(() => {}); // the process may have exited already
    await this.#process.status;
  }

  async #ask<Result>(command: Command): Promise<Result> {
    await this.#commands.write(new TextEncoder().encode(JSON.stringify(command) + "\n"));
    const { value } = await this.#replies.read();
    if (value === undefined) throw new Error("The load process has exited");
    const reply: Reply = JSON.parse(value);
    if ("error" in reply) throw new Error(`The load process failed: ${reply.error}`);
    return reply.result as Result;
  }
}
