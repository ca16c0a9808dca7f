/**
 * Audiences: sets of connections that get the same messages.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { Message } from "./endpoint.ts";

/**
 * A set of connections. A message to it is encoded once for each format among them, not once for each member.
 *
 * ```ts
 * import { Audience } from "@plugboard/server";
 *
 * const lobby = new Audience();
 * lobby.send("the doors are open");
 * ```
 */
export class Audience {
  readonly #members = new Set<Connection>();

  /** How many there are. */
  get size(): number {
    return this.#members.size;
  }

  /** Adds a connection; `false` if it was there. */
  add(conn: Connection): boolean {
    return this.#members.size !== this.#members.add(conn).size;
  }

  /** Removes a connection; `false` if it was not there. */
  delete(conn: Connection): boolean {
    return this.#members.delete(conn);
  }

  /** Whether a connection is in it. */
  has(conn: Connection): boolean {
    return this.#members.has(conn);
  }

  /** The members, in the order in which they came. */
  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#members.values();
  }

  /**
   * Sends to everybody but `except`; gives the number of receivers. `message` may be a function that encodes for
   * a connection's format: it is called once for each format.
   */
  send(message: Message | ((conn: Connection) => Message), except?: Connection): number {
    const encode = typeof message === "function" ? message : undefined;
    let format: unknown;
    let encoded: Message | undefined = encode === undefined ? message as Message : undefined;
    let others: Map<unknown, Message> | undefined;
    let receivers = 0;
    for (const conn of this.#members) {
      if (conn === except) continue;
      if (encode !== undefined && (encoded === undefined || conn.format !== format)) {
        if (encoded !== undefined) (others ??= new Map()).set(format, encoded);
        format = conn.format;
        encoded = others?.get(format) ?? encode(conn);
      }
      if (conn.send(encoded!)) receivers++;
    }
    return receivers;
  }
}
