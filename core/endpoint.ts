/**
 * Endpoints: where a wire protocol meets the kernel.
 *
 * @module
 */

import type { Closed } from "./close_codes.ts";
import type { Connection } from "./connection.ts";
import type { MaybePromise } from "./plugin.ts";

/** What travels in one frame: a string is a text frame, bytes are a binary one. */
export type Message = string | Uint8Array;

/** A request to become a connection. Safe to keep: unlike the runtime's request it stays readable. */
export interface Upgrade {
  /** Where it wants to. */
  readonly endpoint: Endpoint;
  /** The request's URL as it was sent, neither decoded nor normalised. */
  readonly url: string;
  /** The named parts of the endpoint's path, decoded: `room` of `/chat/:room`. */
  readonly params: Readonly<Record<string, string>>;
  /** The request's headers. */
  readonly headers: Headers;
  /** Who asks, as far as the server trusts anyone to say so. */
  readonly ip: string;
  /** The subprotocols the client offers, in its order. */
  readonly offered: readonly string[];
  /** The subprotocol that will be answered. A plugin may set it where the endpoint chose none. */
  protocol: string | undefined;
}

/** One connection's side of a protocol: made by {@linkcode EndpointOf.open}, it holds the connection's state. */
export interface Session<Data extends Message = string> {
  /**
   * Handles one message. While a returned promise is pending, later messages of this connection wait; those
   * that still wait when it ends are dropped. A throw or rejection closes it with `internalError`.
   */
  message(data: Data): void | Promise<void>;
  /**
   * Sends the protocol's own ping, which the client answers with any message. Without this method, dead peers
   * are found by WebSocket ping frames.
   */
  ping?(): void;
  /** The connection has ended. */
  close?(why: Closed): void;
}

/** An endpoint that takes frames of one kind. */
export interface EndpointOf<Kind extends "text" | "binary" | "any", Data extends Message> {
  /** The protocol's name, as statistics and logs show it. */
  readonly name: string;
  /** Path patterns, in Hono's notation: `/echo`, `/sync/*`, `/chat/:room/:user`. */
  readonly path: string | readonly string[];
  /** Which frames it takes; the other kind closes with 1003. @default {"text"} */
  readonly accepts: Kind;
  /** Subprotocols it speaks, best first. */
  readonly protocols?: readonly string[];
  /** What separates messages that share a frame. Without it, each message gets a frame of its own. */
  readonly separator?: string;
  /** Connections with the same format share encoded messages. @default {the endpoint itself} */
  readonly format?: unknown;
  /** Largest message a client may send. @default {the server's `maxMessageBytes`} */
  readonly maxMessageBytes?: number;
  /** Bytes that may wait for a slow reader before it is closed. @default {the server's `maxQueuedBytes`} */
  readonly maxQueuedBytes?: number;
  /** A look at the request before it is accepted; a returned response refuses it. */
  upgrade?(upgrade: Upgrade): MaybePromise<Response | undefined>;
  /** A client has come: returns its session. */
  open(conn: Connection, upgrade: Upgrade): Session<Data>;
}

/** A path and the protocol spoken there. */
export type Endpoint =
  | (Omit<EndpointOf<"text", string>, "accepts"> & { readonly accepts?: "text" })
  | EndpointOf<"binary", Uint8Array>
  | EndpointOf<"any", Message>;

/** What carries a connection's frames: a WebSocket, an HTTP stream, or a fake in a test. */
export interface Transport {
  /** Hands one frame to the network. */
  send(frame: Message): void;
  /** Bytes handed over that the network has not taken yet. */
  readonly buffered: number;
  /** Ends the connection; frames handed over before still go out. */
  close(code: number, reason: string): void;
  /**
   * Asks the other side for a sign of life; what comes is reported to {@linkcode Connection.heard}. `false` if
   * there is no way to ask now.
   */
  ping?(): boolean;
}
