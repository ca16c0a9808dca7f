/**
 * Workers: all cores of a machine, and one consistent server.
 *
 * The sockets are in worker threads. Everything that decides is in the main thread: connections, sessions, hooks and
 * plugins stay as simple as without workers. Four fifths of a delivery are the write to a socket, which needs no state.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { workers } from "@plugboard/server/workers";
 *
 * const server = new Server({ port: 0 });
 * const cores = server.use(workers({ count: 2 }));
 * await server.start();
 * console.log(cores.workers.map(({ connections }) => connections)); // [0, 0]
 * await server.stop();
 * ```
 *
 * How it works:
 *
 * - **Listening.** All workers accept from one port. A worker reads requests, terminates TLS, and holds WebSockets.
 * - **Requests** go to the main thread as facts, with the peer's address as the worker's runtime knows it. So the address
 *   cannot be forged, and no port or secret is between the threads. Bodies cross part by part, when they are asked for.
 *   HTTP streams are responses like any other.
 * - **Handshakes** are routed and admitted by the main thread, with all its limits and hooks. The worker accepts or refuses.
 * - **Sending.** What the main thread sends in one turn of the event loop leaves in one post for each worker. Connections
 *   that get the same frames cross as a list of numbers, and the frames cross once.
 * - **Receiving.** A worker posts what arrived in a turn together. It may be ahead of the main thread by a fixed number of
 *   bytes. What exceeds them waits in the worker, in order, and each connection in turn passes one message. A connection
 *   for which too much waits is closed: the runtime cannot stop reading from a WebSocket.
 * - **Limits.** The main thread counts connections, checks messages, and times pings. The worker keeps what slow readers do
 *   not take, closes those that exceed their limit, and reports what waits.
 * - **Too much for a worker.** A worker counts the posts that it has carried out, in shared memory, when their frames are
 *   written. What is sent meanwhile waits, and leaves joined in few frames, as without workers. While one is late, the main
 *   thread takes no more messages from clients, so that publishers wait for the slowest worker. One that is silent for a
 *   second no longer counts. A connection for which more waits than its limit is closed as that of a slow reader.
 * - **Order.** Reports of a connection keep their order: opened, messages, closed. So do orders: accept, frames, close.
 * - **Failures.** A worker that ends or is silent is replaced. Its connections end as if the network had failed, and their
 *   clients reconnect and recover. The runtime cannot end a thread within a loop that never ends, so its sockets would
 *   stay open until the clients miss the pings; the program of a worker has no such loop, and no code of plugins.
 * - **Stop.** The main thread closes the connections, spread over time, and then the ports.
 *
 * @module
 */

import { built, checkOptions, type Host, type Plugin } from "../core/mod.ts";
import type { Metrics } from "./shared/metrics.ts";
import { Crew } from "./workers/crew.ts";

/** Options of {@linkcode workers}. */
export interface WorkersOptions {
  /** How many workers. `auto` leaves one core for the main thread. @default {"auto"} */
  count?: number | "auto";
  /** How long a worker may be silent before it is replaced. @default {10000} */
  hangMs?: number;
  /**
   * Bytes of messages that may wait in a worker for the main thread, of all its clients. Each counts 64 more. One client
   * has the server's `maxWaitingBytes`. @default {268435456}
   */
  maxWaitingBytes?: number;
  /** Counts per worker. */
  metrics?: Metrics;
}

/** A worker, for operators. Totals include those of the workers that it has replaced; figures are a second old at most. */
export interface WorkerInfo {
  /** Its number, from 1. */
  readonly worker: number;
  /** Connections, those that are being opened or closed included. */
  readonly connections: number;
  /** Messages from clients that were handled, in total. */
  readonly messagesReceived: number;
  /** Frames to clients, in total. */
  readonly framesSent: number;
  /** CPU time of its thread, in total. */
  readonly cpuSeconds: number;
  /** How often it was replaced because it had ended or was silent. */
  readonly replaced: number;
  /** Bytes that wait for slow readers. */
  readonly queuedBytes: number;
  /** Bytes of messages that wait for the main thread. */
  readonly waitingBytes: number;
  /** Its heap in use. */
  readonly heapBytes: number;
  /** How long it has taken so far for the oldest post that it has not carried out. */
  readonly lagMs: number;
}

/** What workers offers to operators. */
export interface Workers {
  /** The workers; empty unless the server runs. */
  readonly workers: readonly WorkerInfo[];
}

/** Holds the sockets of a listener in workers. */
export function workers(
  { count = "auto", hangMs = 10_000, maxWaitingBytes = 268_435_456, metrics }: WorkersOptions = {},
): Plugin<Workers> {
  const check = checkOptions("workers");
  if (count !== "auto") check.positiveInteger("count", count);
  check.positiveInteger("hangMs", hangMs);
  check.positiveInteger("maxWaitingBytes", maxWaitingBytes);
  const size = count === "auto" ? Math.max(1, navigator.hardwareConcurrency - 1) : count;
  let host: Host;
  let crew: Crew | undefined;
  const infos = () => crew?.infos ?? [];
  const gauge = (name: string, help: string, value: (info: WorkerInfo) => number) => {
    metrics?.gauge(name, help, () => infos().map((info) => [[String(info.worker)], value(info)]), ["worker"]);
  };
  gauge("plugboard_worker_connections", "Connections of a worker", ({ connections }) => connections);
  gauge(
    "plugboard_worker_messages_received_total",
    "Messages from its clients",
    ({ messagesReceived }) => messagesReceived,
  );
  gauge("plugboard_worker_frames_sent_total", "Frames to its clients", ({ framesSent }) => framesSent);
  gauge("plugboard_worker_cpu_seconds_total", "CPU time of its thread", ({ cpuSeconds }) => cpuSeconds);
  gauge("plugboard_workers_replaced_total", "Workers that ended or hung", ({ replaced }) => replaced);
  gauge("plugboard_worker_queued_bytes", "Bytes for slow readers", ({ queuedBytes }) => queuedBytes);
  gauge("plugboard_worker_waiting_bytes", "Bytes of messages that wait", ({ waitingBytes }) => waitingBytes);
  gauge("plugboard_worker_heap_bytes", "Heap of a worker", ({ heapBytes }) => heapBytes);
  gauge("plugboard_worker_lag_seconds", "Age of the oldest open post", ({ lagMs }) => lagMs / 1_000);

  return built({
    name: "workers",
    api: {
      get workers() {
        return infos();
      },
    },
    start: (given) => void (host = given),
    async listen(listening) {
      crew = new Crew({ size, hangMs, maxWaitingBytes, host, listening });
      await crew.start();
      return crew;
    },
    stop: () => crew?.close(0),
  });
}
