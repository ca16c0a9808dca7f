/**
 * Transports: what carries the frames of a connection.
 *
 * @module
 */

import type { Closed } from "./close_codes.ts";
import type { Message } from "./framing.ts";

/** Carries the frames of a connection: a WebSocket, an HTTP stream, or a fake in a test. */
export interface Transport {
  /** Bytes that were sent and that the network has not taken yet. */
  readonly buffered: number;
  /** Whether it keeps what the network does not take, within the connection's limits, and closes slow readers itself. */
  readonly queues?: true;
  /** Sends one frame. */
  send(frame: Message): void;
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
