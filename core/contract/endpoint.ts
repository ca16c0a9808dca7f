/**
 * Endpoints: where a protocol receives its connections.
 *
 * @module
 */

import type { Closed } from "./close_codes.ts";
import type { Connection, EndpointInfo } from "./connection.ts";
import type { DataOf, FrameKind, Framing, Message } from "./framing.ts";
import type { MaybePromise, Nothing } from "./promises.ts";

/** A request to open a connection. Unlike the runtime's request, it stays readable and can be kept. */
export interface Upgrade {
  /** The id that the connection will have. */
  readonly connectionId: string;
  /** The endpoint that was requested. */
  readonly endpoint: Endpoint;
  /** The URL as it was sent, neither decoded nor normalized. */
  readonly url: string;
  /** The decoded parameters of the path: `room` of `/chat/:room`. */
  readonly params: Readonly<Record<string, string>>;
  /** The request's headers. */
  readonly headers: Headers;
  /** The client's address, as far as the server trusts proxies. */
  readonly ip: string;
  /** The subprotocols that the client offers, in its order. */
  readonly offered: readonly string[];
  /** The subprotocol of the answer. A plugin may set it if the endpoint chose none. */
  protocol: string | undefined;
}

/** The protocol's state of one connection; {@linkcode EndpointOf.open} makes it. */
export interface Session<Data extends Message = string> {
  /**
   * Handles one message. While a returned promise is pending, later messages of this connection wait. A throw or
   * rejection closes the connection with `internalError`. When the connection ends, waiting messages are dropped.
   */
  readonly message: (data: Data) => void | Promise<void>;
  /**
   * Sends the protocol's own ping, which the client answers with any message. The default is a WebSocket ping. `false`
   * if none was sent, so that no answer is expected.
   */
  ping?(): boolean | Nothing;
  /**
   * Resolves when all handled messages are answered, before the server closes the connection. Needed if answers come
   * after the promises of their messages.
   */
  answered?(): MaybePromise<void>;
  /** The connection has ended. */
  close?(why: Closed): void;
}

/** An endpoint that chooses the framing of its connections. */
export interface EndpointOf<Kind extends FrameKind> extends EndpointInfo {
  /** Largest message a client may send. @default {the server's `maxMessageBytes`} */
  readonly maxMessageBytes?: number;
  /** Bytes that may wait for a slow reader before it is closed. @default {the server's `maxQueuedBytes`} */
  readonly maxQueuedBytes?: number;
  /** Checks a request before it is accepted. A returned response refuses it. */
  upgrade?(upgrade: Upgrade): MaybePromise<Response | undefined>;
  /** Returns the framing of a connection. Called after `upgrade`. */
  framing(upgrade: Upgrade): Framing<Kind>;
  /** A client has connected: returns its session. */
  open(conn: Connection, upgrade: Upgrade): Session<DataOf<Kind>>;
}

/** An endpoint with the default framing: text, one message in each frame, the endpoint as the format. */
export type TextEndpoint = Omit<EndpointOf<"text">, "framing"> & { readonly framing?: undefined };

/** A path and the protocol that is used there. */
export type Endpoint = TextEndpoint | EndpointOf<"text"> | EndpointOf<"binary"> | EndpointOf<FrameKind>;
