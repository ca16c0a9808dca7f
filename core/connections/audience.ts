import type { Connection } from "../contract/connection.ts";
import type { Message } from "../contract/framing.ts";

/**
 * A set of connections. A message to it is encoded once for each format, not once for each member.
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

  /** The number of members. */
  get size(): number {
    return this.#members.size;
  }

  /** Adds a connection. Returns `false` if it was a member. */
  add(conn: Connection): boolean {
    return this.#members.size !== this.#members.add(conn).size;
  }

  /** Removes a connection. Returns `false` if it was not a member. */
  delete(conn: Connection): boolean {
    return this.#members.delete(conn);
  }

  /** Whether a connection is a member. */
  has(conn: Connection): boolean {
    return this.#members.has(conn);
  }

  /** The members, in the order they were added. */
  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#members.values();
  }

  /**
   * Sends a message to all members except `except`, and returns the number of receivers. `message` may be a
   * function that encodes for the format of a connection. It is called once for each format.
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
