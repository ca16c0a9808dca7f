/**
 * A connected client, as plugins see it.
 *
 * @module
 */

import type { CloseCode } from "./close_codes.ts";
import type { Message } from "./framing.ts";

/** What identifies an endpoint. */
export interface EndpointInfo {
  /** The protocol's name, for statistics and logs. */
  readonly name: string;
  /** Path patterns in Hono's notation: `/echo`, `/sync/*`, `/chat/:room/:user`. */
  readonly path: string | readonly string[];
  /** The subprotocols it supports, best first. */
  readonly protocols?: readonly string[];
}

/**
 * One connected client, over any transport.
 *
 * `send` and `close` never wait, and never throw because of a client. What cannot be sent at once is queued within
 * a limit. A connection that exceeds the limit is closed.
 */
export interface Connection {
  /** Made by the server, never from what the client sends. */
  readonly id: string;
  /** The client's address. */
  readonly ip: string;
  /** When it was opened, in milliseconds since 1970. */
  readonly openedAt: number;
  /** The endpoint it was opened at. */
  readonly endpoint: EndpointInfo;
  /** Connections with the same format share encoded messages. */
  readonly format: unknown;
  /** Whether messages can still be sent. */
  readonly open: boolean;
  /** Bytes that were sent and that the network has not taken yet. A character of text counts as one. */
  readonly queuedBytes: number;
  /** Sends a message at the end of this turn. Returns `false` if the connection has ended. Do not change sent bytes. */
  send(message: Message): boolean;
  /**
   * Returns a promise if this client's requests have caused much work. It resolves when others were served and the client
   * has read what was sent. The kernel asks between messages; a session asks within a message that holds many requests.
   */
  turn(): Promise<void> | undefined;
  /** Closes the connection after the messages that were sent, unless the reader is gone or too slow. */
  close(why: CloseCode): void;
}
