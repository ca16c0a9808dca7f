import type { WorkerInfo } from "../workers.ts";
import type { Schema } from "./schema.ts";

/** A worker of a node. */
export interface ListedWorker {
  readonly worker: number;
  readonly num_clients: number;
  readonly messages_received: number;
  readonly frames_sent: number;
  readonly queued_bytes: number;
  readonly waiting_bytes: number;
  readonly heap_bytes: number;
  readonly lag_ms: number;
  readonly cpu_seconds: number;
  readonly replaced: number;
}

/** Its schema. */
export const WORKER = {
  worker: { type: "integer", description: "Its number, from 1" },
  num_clients: { type: "integer" },
  messages_received: { type: "integer" },
  frames_sent: { type: "integer" },
  queued_bytes: { type: "integer", description: "What slow readers have not read yet" },
  waiting_bytes: { type: "integer", description: "Messages that wait for the main thread" },
  heap_bytes: { type: "integer" },
  lag_ms: { type: "integer", description: "Age of the oldest post that it has not carried out" },
  cpu_seconds: { type: "number" },
  replaced: { type: "integer", description: "How often it had ended or was silent" },
} as const satisfies Record<string, Schema>;

/** Describes a worker. */
export function listedWorker(info: WorkerInfo): ListedWorker {
  return {
    worker: info.worker,
    num_clients: info.connections,
    messages_received: info.messagesReceived,
    frames_sent: info.framesSent,
    queued_bytes: info.queuedBytes,
    waiting_bytes: info.waitingBytes,
    heap_bytes: info.heapBytes,
    lag_ms: Math.round(info.lagMs),
    cpu_seconds: info.cpuSeconds,
    replaced: info.replaced,
  };
}
