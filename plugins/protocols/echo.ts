/**
 * Echo: sends every message back, to try out a connection or to measure the kernel.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { echo } from "@plugboard/server/echo";
 *
 * const server = new Server({ port: 0 });
 * server.use(echo({ path: "/echo" }));
 * ```
 *
 * @module
 */

import type { Framing, Message, Plugin } from "../../core/mod.ts";

/** Options of {@linkcode echo}. */
export interface EchoOptions {
  /** The path. @default {"/echo"} */
  path?: string;
}

const FRAMING: Framing<"any"> = { accepts: "any", format: Symbol("echo") };

/** Sends every message back to its sender. */
export function echo({ path = "/echo" }: EchoOptions = {}): Plugin {
  return {
    name: "echo",
    endpoints: [{
      name: "echo",
      path,
      framing: () => FRAMING,
      open: (conn) => ({ message: (data: Message) => void conn.send(data) }),
    }],
  };
}
