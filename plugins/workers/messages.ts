/**
 * The messages between the main thread and a worker. The messages of one turn of the event loop are posted together, in
 * order, as one flat array with three values for each: measured, an object for each message costs four times as much.
 *
 * @module
 */

import type { CloseCode, Closed, ConnectionLimits, Message } from "../../core/mod.ts";

/** Numbers of connections. Each worker counts its own; a number is never used again. */
export type Numbers = number | Uint32Array;

/** The facts of an HTTP request. */
export interface RequestFacts {
  readonly url: string;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  /** The address of the other end of the socket. */
  readonly peer: string;
  readonly hasBody: boolean;
}

/** The response to a request. Without `streams`, the body is complete. */
export interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | undefined;
  readonly streams: boolean;
}

/** How a worker opens a connection. */
export interface Acceptance {
  /** The subprotocol of the answer. */
  readonly protocol: string | undefined;
  readonly limits: ConnectionLimits;
}

/**
 * How far a worker is, in memory that it shares with the main thread. A post for each confirmation would wake the main
 * thread as often as the messages of clients do.
 */
export type Progress = Int32Array<SharedArrayBuffer>;

/** Where the number of posts is that were carried out, modulo 2^32, and whether the main thread awaits a report of the next one. */
export const [DONE, AWAITED] = [0, 1] as const;

/** What a worker needs to begin. */
export interface Beginning {
  readonly hostname: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly pingIntervalMs: number;
  readonly progress: Progress;
  /** Of all clients. */
  readonly maxWaitingBytes: number;
}

/** What a worker counts. */
export interface Figures {
  /** Sockets, closing ones included. */
  readonly sockets: number;
  /** Bytes that wait for slow readers, outside of the runtime. */
  readonly queuedBytes: number;
  /** Bytes of messages that wait for the main thread. */
  readonly waitingBytes: number;
  readonly heapBytes: number;
  /** Frames that were sent, since it started. */
  readonly framesSent: number;
  /** CPU time of its thread, since it started. */
  readonly cpuSeconds: number;
}

/** From the main thread to a worker. */
export type Order =
  | [what: "begin", 0, Beginning]
  /** Send frames to connections, in this order. */
  | [what: "send", to: Numbers, frames: Message | readonly Message[]]
  | [what: "ping", connection: number, undefined]
  | [what: "close", connection: number, why: CloseCode]
  /** Accept a handshake. */
  | [what: "accept", handshake: number, Acceptance]
  /** Answer a request, or a handshake that is refused. */
  | [what: "answer", request: number, Answer]
  /** The next part of a response. */
  | [what: "part", request: number, Uint8Array]
  /** The end of a response; `false` if it is incomplete. */
  | [what: "end", request: number, complete: boolean]
  /** Send the next part of the request's body. */
  | [what: "pull", request: number, undefined]
  /** So many bytes of messages have been handled. */
  | [what: "took", bytes: number, undefined]
  /** End closed connections whose clients have not answered yet. */
  | [what: "endClosing", 0, undefined]
  /** Nothing to do, which shows that it is alive. */
  | [what: "beat", 0, undefined]
  | [what: "stop", 0, undefined];

/** From a worker to the main thread. */
export type Report =
  | [what: "listening", port: number, hostname: string]
  /** Cannot listen at the moment, or can again. */
  | [what: "deaf", 0, problem: string | undefined]
  | [what: "handshake", handshake: number, RequestFacts]
  /** A handshake that was accepted has opened a connection with its number, or has failed. */
  | [what: "opened", connection: number, undefined]
  | [what: "failed", handshake: number, undefined]
  | [what: "message", connection: number, Message]
  /** A pong. */
  | [what: "heard", connection: number, undefined]
  /** The worker has closed a connection. */
  | [what: "ended", connection: number, Closed]
  /** Its socket is closed. Nothing follows. */
  | [what: "gone", connection: number, Closed]
  /** So many bytes wait for a slow reader. */
  | [what: "queued", connection: number, bytes: number]
  | [what: "request", request: number, RequestFacts]
  /** The next part of the request's body; its end. */
  | [what: "body", request: number, Uint8Array | undefined]
  /** The request's body cannot be read to its end. */
  | [what: "broken", request: number, undefined]
  /** Send the next part of the response. */
  | [what: "pull", request: number, undefined]
  /** The client does not read the rest of the response. */
  | [what: "cancel", request: number, undefined]
  /** The response was sent, or its connection has ended. */
  | [what: "completed", request: number, undefined]
  /** The posts so far have been carried out. Only sent when it is awaited. */
  | [what: "done", 0, undefined]
  | [what: "figures", 0, Figures]
  /** An order or an event of a socket failed. */
  | [what: "fault", connection: number, message: string]
  | [what: "stopped", 0, undefined];

/** Messages one after the other: three values for each. */
export type Batch = unknown[];

/** What a message costs in addition to its bytes, when bytes are counted. */
export const MESSAGE_BYTES = 64;

/** Bytes of messages that a worker may send before the main thread has handled them. */
export const CREDIT_BYTES = 32_768;
