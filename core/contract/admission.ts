/**
 * Admissions: places of clients that were let in.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { Upgrade } from "./endpoint.ts";
import type { Transport, TransportEvents } from "./transport.ts";

/** The limits of one connection. */
export interface ConnectionLimits {
  /** Bytes of one message from the client. */
  readonly maxMessageBytes: number;
  /** Bytes that may wait for a slow reader; a character of text counts as one. */
  readonly maxQueuedBytes: number;
  /** Bytes of messages that may wait for a handler; a character of text counts as one, and each message as 64 more. */
  readonly maxWaitingBytes: number;
}

/** A place that is reserved for a connection. Open it once, or release it. */
export interface Admission {
  /** The request, as the hooks saw it. */
  readonly upgrade: Upgrade;
  /** The limits of the connection. It enforces them itself, except those of a transport that queues. */
  readonly limits: ConnectionLimits;
  /** Opens the connection. What the transport receives goes to `incoming`. */
  open(transport: Transport): { readonly connection: Connection; readonly incoming: TransportEvents };
  /** Releases the place. Call it when a connection that was opened is gone, too. */
  release(): void;
}
