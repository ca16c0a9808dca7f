import type { Inbox } from "../../../core/connections/inbox.ts";
import type { ConnectionLimits, Message } from "../../../core/mod.ts";
import type { Reporter } from "./reporter.ts";
import type { Constants, Tools } from "./tools.ts";

/** A connection whose messages may wait. */
export interface Receiver {
  readonly number: number;
  readonly limits: ConnectionLimits;
  /** Its messages that wait. */
  inbox: Inbox | undefined;
  /** Whether a ping waits for its answer. */
  pinged: boolean;
}

/** The messages of a worker on their way to the main thread. */
export interface ThreadIncoming<Conn extends Receiver> {
  /** Bytes that wait, of all connections. */
  readonly waitingBytes: number;
  /** Passes a message on, or keeps it. Returns `false` if too much waits. */
  receive(conn: Conn, message: Message): boolean;
  /** The main thread has handled so many bytes of messages. */
  took(bytes: number): void;
  /** Drops the messages of a connection that wait. */
  drop(conn: Conn): void;
}

/**
 * Passes messages to the main thread as far as it has given credit, and keeps the others in order. Runs in a worker, as
 * text.
 */
export function threadIncoming<Conn extends Receiver>(
  { report }: Reporter,
  { Inbox }: Tools,
  constants: Constants,
  maxWaitingBytes: number,
  emptied: (conn: Conn) => void,
): ThreadIncoming<Conn> {
  /** Connections with messages that wait. */
  const waiting = new Set<Conn>();
  let credit = constants.creditBytes;
  let waitingBytes = 0;

  function pass(conn: Conn, message: Message): void {
    credit -= message.length + constants.messageBytes;
    conn.pinged = false; // A message is a sign of life, too.
    report("message", conn.number, message);
  }

  return {
    get waitingBytes() {
      return waitingBytes;
    },
    receive(conn, message) {
      if (credit > 0 && waiting.size === 0) {
        pass(conn, message);
        return true;
      }
      const inbox = conn.inbox ??= new Inbox(conn.limits);
      waiting.add(conn);
      waitingBytes -= inbox.bytes;
      const fits = inbox.push(message);
      waitingBytes += inbox.bytes;
      return fits && waitingBytes <= maxWaitingBytes;
    },
    /** One message of each connection in turn, so that none can delay the others. */
    took(bytes) {
      credit += bytes;
      while (credit > 0 && waiting.size > 0) {
        for (const conn of waiting) {
          if (credit <= 0) break;
          waiting.delete(conn);
          const message = conn.inbox!.shift();
          if (message !== undefined) {
            waitingBytes -= message.length + Inbox.messageBytes;
            pass(conn, message);
            waiting.add(conn);
            continue;
          }
          conn.inbox = undefined;
          emptied(conn);
        }
      }
    },
    drop(conn) {
      waitingBytes -= conn.inbox?.bytes ?? 0;
      conn.inbox = undefined;
      waiting.delete(conn);
    },
  };
}
