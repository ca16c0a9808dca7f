/**
 * One connected client.
 *
 * @module
 */

import { Backlog, type Limits } from "./backlog.ts";
import { type CloseCode, closeCodes, type Closed } from "./close_codes.ts";
import type { Endpoint, Message, Session, Transport } from "./endpoint.ts";
import type { HookRunner } from "./hooks.ts";
import type { Batch, Lane, Outbox } from "./outbox.ts";

/** What the kernel gives each connection of an endpoint; shared, so that a connection stays small. */
export interface Wiring {
  readonly endpoint: Endpoint;
  readonly lane: Lane;
  readonly outbox: Outbox;
  readonly hooks: HookRunner;
  readonly limits: Limits;
  /** Told once, when the connection has ended. */
  readonly ended: (conn: Connection) => void;
}

/**
 * One connected client, over whatever transport.
 *
 * `send` and `close` never throw and never wait: what cannot leave at once is queued within a limit, and a
 * connection that exceeds it is closed.
 */
export class Connection {
  /** Made by the server; nothing the client says goes into it. */
  readonly id: string = crypto.randomUUID();
  /** The client's address. */
  readonly ip: string;
  /** When it was opened, in milliseconds since 1970. */
  readonly openedAt: number;
  readonly #wiring: Wiring;
  readonly #backlog: Backlog;
  #session: Session<Message> | undefined;
  #open = true;
  #batch: Batch | undefined;
  #waiting: Message[] | undefined;
  #waitingBytes = 0;
  #working: Promise<void> | undefined;
  #heard = true;

  /** Connections are made by the server. */
  constructor(wiring: Wiring, transport: Transport, ip: string, openedAt: number) {
    this.#wiring = wiring;
    this.#backlog = new Backlog(transport, wiring.limits);
    this.ip = ip;
    this.openedAt = openedAt;
  }

  /** Where it came in. */
  get endpoint(): Endpoint {
    return this.#wiring.endpoint;
  }

  /** Connections of the same format share encoded messages. */
  get format(): unknown {
    return this.#wiring.endpoint.format ?? this.#wiring.endpoint;
  }

  /** Whether messages can still be sent. */
  get open(): boolean {
    return this.#open;
  }

  /** Sends a message at the end of this turn; `false` if the connection has ended. */
  send(message: Message): boolean {
    if (!this.#open) return false;
    let batch = this.#batch;
    if (batch === undefined) {
      batch = this.#wiring.lane.root;
      this.#wiring.outbox.add(this);
    }
    this.#batch = batch.with(message);
    return true;
  }

  /** Ends the connection. What was sent before still goes out, unless the client is closed for being slow. */
  close(why: CloseCode): void {
    if (!this.#open) return;
    this.flush();
    if (!this.#open) return; // the flush found it slow
    this.#end({ code: why.code, reason: why.reason, by: "server" });
    if (why === closeCodes.slow) this.#backlog.drop();
    else this.#backlog.deliver();
    this.#backlog.transport.close(why.code, why.reason);
  }

  /** Resolves when every message that has come in is handled. */
  async settled(): Promise<void> {
    await this.#working;
  }

  /** Hands this turn's messages to the transport; the outbox calls it. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    for (const frame of batch.frames(this.#wiring.lane.separator)) {
      if (!this.#backlog.send(frame)) return this.close(closeCodes.slow);
    }
    if (this.#backlog.waits) this.#wiring.outbox.block(this);
  }

  /** Hands over what the network is ready to take; `false` when nothing waits any more. */
  relieve(): boolean {
    if (!this.#open) return false;
    this.#backlog.relieve();
    return this.#backlog.waits;
  }

  /** Binds the session; the server calls it once, right after the construction. */
  attach(session: Session<Message>): void {
    this.#session = session;
    if (!this.#open) session.close?.({ ...closeCodes.normal, by: "server" });
  }

  /** A message came in; the transport calls it. */
  receive(data: Message): void {
    if (!this.#open) return;
    this.#heard = true;
    const refusal = this.#refusal(data);
    if (refusal !== undefined) return this.close(refusal);
    if (this.#wiring.hooks.message(this, data) || !this.#open) return;
    if (this.#working !== undefined) this.#wait(data);
    else this.#handle(data);
  }

  /** The client or the network ended the connection; the transport calls it. */
  ended(why: Closed): void {
    if (this.#open) this.#end(why);
  }

  /** Sends the protocol's ping, if it has one, and listens from now on. */
  ping(): void {
    if (this.#backlog.stalled()) return this.close(closeCodes.slow);
    this.#heard = false;
    try {
      this.#session?.ping?.();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Closes it if it has said nothing since the ping. Without a ping of its own, its transport sees to that. */
  checkPong(): void {
    if (!this.#heard && this.#session?.ping !== undefined) this.close(closeCodes.noPong);
  }

  /** Has the transport's own wait for a sign of life begin anew. */
  forgive(): void {
    this.#backlog.transport.forgive?.();
  }

  #refusal(data: Message): CloseCode | undefined {
    const { accepts = "text", maxMessageBytes = this.#wiring.limits.maxMessageBytes } = this.#wiring.endpoint;
    if (accepts !== "any" && (typeof data === "string") !== (accepts === "text")) {
      return closeCodes.unsupportedData;
    }
    if (exceeds(data, maxMessageBytes)) return closeCodes.tooLarge;
  }

  #handle(data: Message): void {
    try {
      const work = this.#session?.message(data);
      if (work !== undefined) this.#working = this.#work(work);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Waits for a handler, then for those of the messages that came meanwhile, one after the other. */
  async #work(first: Promise<void>): Promise<void> {
    try {
      await first;
      while (this.#open && this.#waiting !== undefined) {
        const waiting = this.#waiting;
        this.#waiting = undefined;
        this.#waitingBytes = 0;
        for (const data of waiting) {
          if (!this.#open) return;
          await this.#session!.message(data);
        }
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#working = undefined;
    }
  }

  #wait(data: Message): void {
    const waiting = this.#waiting ??= [];
    this.#waitingBytes += data.length;
    const { maxWaitingMessages, maxWaitingBytes } = this.#wiring.limits;
    if (waiting.push(data) > maxWaitingMessages || this.#waitingBytes > maxWaitingBytes) {
      this.close(closeCodes.tooManyRequests);
    }
  }

  #fail(error: unknown): void {
    this.#wiring.hooks.failed(this.#wiring.endpoint.name, "message", error);
    this.close(closeCodes.internalError);
  }

  #end(why: Closed): void {
    this.#open = false;
    this.#batch = undefined;
    this.#waiting = undefined;
    this.#wiring.ended(this);
    try {
      this.#session?.close?.(why);
    } catch (error) {
      this.#wiring.hooks.failed(this.#wiring.endpoint.name, "close", error);
    }
    this.#wiring.hooks.close(this, why);
  }
}

/** Whether a message has more than `limit` bytes in UTF-8. */
function exceeds(data: Message, limit: number): boolean {
  if (data.length > limit) return true;
  // A UTF-16 unit takes at most three bytes, so most texts need no count.
  return typeof data === "string" && data.length * 3 > limit && new TextEncoder().encode(data).length > limit;
}
