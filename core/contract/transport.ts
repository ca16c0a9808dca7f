/**
 * Transports: what carries the frames of a connection.
 *
 * @module
 */

import type { Closed } from "./close_codes.ts";
import type { Message } from "./framing.ts";

/** A connection with messages that wait. */
export interface Waiting {
  /** Sends them, joined where the protocol allows. */
  flush(): void;
}

/** Where connections with messages wait until these leave. */
export interface Outlet {
  /** Adds a connection that has no messages waiting yet. */
  add(waiting: Waiting): void;
  /** Much waits for a connection that was added: its messages leave at the end of the turn. */
  hasten?(waiting: Waiting): void;
}

/** Carries the frames of a connection: a WebSocket, an HTTP stream, or a fake in a test. */
export interface Transport {
  /** Bytes that were sent and that the network has not taken yet. */
  readonly buffered: number;
  /** Whether it keeps what the network does not take, within the connection's limits, and closes slow readers itself. */
  readonly queues?: true;
  /** Decides when the messages leave. @default {at the end of the turn} */
  readonly outlet?: Outlet;
  /** Sends one frame. */
  send(frame: Message): void;
  /**
   * Sends frames of this length, or returns `false` if too much waits. Connections that get the same frames share the
   * array. Only of a transport that queues.
   */
  sendAll?(frames: readonly Message[], chars: number): boolean;
  /** Closes the connection after the frames that were sent. */
  close(code: number, reason: string): void;
  /** Asks the peer for a sign of life, which is reported to `heard`. Returns `false` if that is not possible now. */
  ping?(): boolean;
}

/** What a transport reports about its connection. */
export interface TransportEvents {
  /** A message arrived. */
  receive(data: Message): void;
  /** The client gave a sign of life. */
  heard(): void;
  /** The client or the network ended the connection. */
  ended(why: Closed): void;
}
