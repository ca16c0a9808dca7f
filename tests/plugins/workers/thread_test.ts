/** Tests of a worker's program, with the orders of the main thread. */

import assert from "node:assert/strict";
import type { ConnectionLimits } from "../../../core/mod.ts";
import { sourceWorker } from "../../../plugins/shared/source_worker.ts";
import { type Beginning, DONE, type Order, type Progress } from "../../../plugins/workers/messages.ts";
import { threadSource } from "../../../plugins/workers/program.ts";
import { close, connect, receive, send } from "../../bench/load/libc.ts";
import { DEADLINE_MS, Inbox, turn, until } from "../../kit/wait.ts";

const LIMITS: ConnectionLimits = {
  maxMessageBytes: 65_536,
  maxQueuedBytes: 1_048_576,
  maxWaitingBytes: 1_048_576,
};

const UPGRADE = new TextEncoder().encode(
  "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
);

/** A worker, and sockets of clients that are read without the event loop. */
class Thread implements Disposable {
  readonly progress: Progress = new Int32Array(new SharedArrayBuffer(8));
  readonly #worker = sourceWorker(threadSource(), "test");
  readonly #reports = new Inbox<unknown[]>();
  readonly #sockets: number[] = [];
  #posts = 0;

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<unknown[]>) => {
      for (let i = 0; i < data.length; i += 3) this.#reports.put(data.slice(i, i + 3));
    };
  }

  order(...order: Order): void {
    this.#posts++;
    this.#worker.postMessage(order);
  }

  get isDone(): boolean {
    return Atomics.load(this.progress, DONE) === this.#posts;
  }

  /** Starts to listen. Returns the port. */
  async listen(): Promise<number> {
    const beginning: Omit<Beginning, "progress"> = {
      hostname: "127.0.0.1",
      port: 0,
      tls: undefined,
      pingIntervalMs: 25_000,
      maxWaitingBytes: 1_048_576,
    };
    this.order("begin", 0, { ...beginning, progress: this.progress });
    return await this.#report("listening") as number;
  }

  /** Opens a connection. Returns its number and its socket, which has read the response. */
  async open(port: number): Promise<{ number: number; socket: number }> {
    const socket = connect(port, 0);
    this.#sockets.push(socket);
    send(socket, UPGRADE);
    const number = await this.#report("handshake");
    this.order("accept", number, { protocol: undefined, limits: LIMITS });
    await this.#report("opened");
    await until("the response", () => receive(socket, 0) > 0);
    return { number, socket };
  }

  async #report(expected: string): Promise<number> {
    for (;;) {
      const [what, number] = await this.#reports.next();
      if (what === expected) return number as number;
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) close(socket);
    this.#worker.terminate();
  }
}

// The main thread holds back frames until then, and joins them. Before, the sockets were written after the next post had
// been asked for, so each frame had half of the messages.
Deno.test(
  "a post counts as carried out when the sockets are written, not when the runtime has the frames",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    using thread = new Thread();
    const port = await thread.listen();
    const readers: { number: number; socket: number }[] = [];
    while (readers.length < 400) readers.push(await thread.open(port));
    await until("the accepts", () => thread.isDone);
    await turn();
    thread.order("send", Uint32Array.from(readers, ({ number }) => number), "hello");
    const deadline = performance.now() + DEADLINE_MS;
    // Looks without a turn of the event loop in between.
    while (!thread.isDone) assert.ok(performance.now() < deadline, "the post was not carried out");
    const received = readers.toReversed().filter(({ socket }) => receive(socket, 0) > 0);
    assert.equal(received.length, readers.length);
  },
);
