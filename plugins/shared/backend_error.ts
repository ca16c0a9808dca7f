/**
 * Refusals of a backend that decides for this server.
 *
 * @module
 */

import { type CloseCode, PlugboardError } from "../../core/mod.ts";

/** How a backend refuses. */
export interface BackendRefusal {
  /** For programs. */
  readonly number: number;
  /** For people. */
  readonly message: string;
  /** Whether the client should try again. */
  readonly temporary?: boolean;
  /** Ends the connection. */
  readonly disconnect?: CloseCode;
}

/** A backend has refused what a client wants. The client gets its number and its message. */
export class BackendError extends PlugboardError {
  /** For programs. */
  readonly number: number;
  /** Whether the client should try again. */
  readonly temporary: boolean;
  /** Ends the connection, if the backend wants that. */
  readonly disconnect: CloseCode | undefined;

  constructor({ number, message, temporary = false, disconnect }: BackendRefusal) {
    super("backend_error", message);
    this.number = number;
    this.temporary = temporary;
    this.disconnect = disconnect;
  }

  /** Of the response, if the client used HTTP. */
  get status(): number {
    return this.temporary ? 503 : 403;
  }
}
