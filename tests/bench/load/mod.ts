/** The bench's end of the load process. */

import type { Dialogue } from "../types.ts";
import type { DriveOptions, DriveResult } from "./drive.ts";
import { TextLineStream } from "./lines.ts";

export type { DriveOptions, DriveResult } from "./drive.ts";

/** What the load process can be told. */
export type Command =
  | { do: "open"; port: number; dialogue: Dialogue; count: number }
  | { do: "drive"; options: DriveOptions }
  | { do: "hold"; seconds: number }
  | { do: "close" };

/** What it answers. */
export type Reply = { result: unknown } | { error: string };

/** Clients in a process of their own. Calls must not overlap. */
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

  /** Opens more connections, as `dialogue` says, and waits until they are ready; gives how long that took. */
  open(port: number, dialogue: Dialogue, count: number): Promise<{ seconds: number }> {
    return this.#ask({ do: "open", port, dialogue, count });
  }

  /** Sends and measures in a closed loop. */
  drive(options: DriveOptions): Promise<DriveResult> {
    return this.#ask({ do: "drive", options });
  }

  /** Lets time pass with the connections open; gives how many of them have ended. */
  hold(seconds: number): Promise<{ closed: number }> {
    return this.#ask({ do: "hold", seconds });
  }

  /** Ends all connections. */
  close(): Promise<unknown> {
    return this.#ask({ do: "close" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#commands.close().catch(() => {}); // it may be gone already
    await this.#process.status;
  }

  async #ask<Result>(command: Command): Promise<Result> {
    await this.#commands.write(new TextEncoder().encode(JSON.stringify(command) + "\n"));
    const { value } = await this.#replies.read();
    if (value === undefined) throw new Error("The load process has ended");
    const reply: Reply = JSON.parse(value);
    if ("error" in reply) throw new Error(`The load process failed: ${reply.error}`);
    return reply.result as Result;
  }
}
