/**
 * One connected client.
 *
 * @module
 */

import { Backlog, type BacklogLimits } from "./backlog.ts";
import { type CloseCode, closeCodes, type Closed } from "./close_codes.ts";
import type { Endpoint, Message, Session, Transport, Upgrade } from "./endpoint.ts";
import type { HookRunner } from "./hooks.ts";
import { Inbox, type InboxLimits } from "./inbox.ts";
import type { Batch, Lane, Outbox } from "./outbox.ts";
import type { Sent } from "./plugin.ts";

/** Bounds of one connection. */
export interface Limits extends BacklogLimits, InboxLimits {
  /** Bytes of one message from a client. */
  readonly maxMessageBytes: number;
}

/** What the kernel gives each connection of an endpoint; shared, so that a connection stays small. */
export interface Wiring {
  readonly endpoint: Endpoint;
  readonly lane: Lane;
  readonly outbox: Outbox;
  readonly hooks: HookRunner;
  readonly limits: Limits;
  /** Counts what all of them are sent. */
  readonly sent: Sent;
  /** Told once, when the connection has ended. */
  readonly ended: (conn: Connection) => void;
}

/**
 * One connected client, over whatever transport.
 *
 * `send` and `close` never wait, and never throw for anything a client does: what cannot leave at once is queued
 * within a limit, and a connection that exceeds it is closed.
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
  #state: "opening" | "open" | "leaving" | "ended" = "opening";
  /** Why it ended before everybody knew that it had begun. */
  #endedEarly: Closed | undefined;
  #batch: Batch | undefined;
  #inbox: Inbox | undefined;
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
    return this.#state !== "ended";
  }

  /** Sends a message at the end of this turn; `false` if the connection has ended. Bytes must not change after. */
  send(message: Message): boolean {
    if (this.#state === "ended") return false;
    const before = this.#batch;
    this.#batch = (before ?? this.#wiring.lane.root).with(message);
    if (before === undefined) this.#wiring.outbox.add(this);
    return true;
  }

  /** Ends the connection. What was sent before still goes out, unless the reader is gone or too slow for it. */
  close(why: CloseCode): void {
    if (this.#state === "ended") return;
    this.flush();
    if (!this.open) return; // the flush found it slow
    this.#end({ code: why.code, reason: why.reason, by: "server" });
    const backlog = this.#backlog;
    try {
      if (why === closeCodes.slow || why === closeCodes.noPong) backlog.drop();
      else backlog.deliver();
      backlog.transport.close(why.code, why.reason);
    } catch (error) {
      this.#wiring.hooks.failed(this.#wiring.endpoint.name, "close", error);
    }
  }

  /** Ends the connection when what it has asked for is done; hears nothing more. */
  async leave(why: CloseCode): Promise<void> {
    if (this.#state === "open") this.#state = "leaving";
    await this.#working;
    this.close(why);
  }

  /** Tells everybody that it is there, and has its endpoint open a session; the server calls it once. */
  begin(upgrade: Upgrade): void {
    const { hooks, endpoint } = this.#wiring;
    hooks.open(this, upgrade);
    try {
      if (this.open) this.#session = endpoint.open(this, upgrade) as Session<Message>;
      hooks.contain(endpoint.name, "open", this.#session);
    } catch (error) {
      this.#fail("open", error);
    }
    if (this.#state === "opening") this.#state = "open";
    else this.#tell(this.#endedEarly!);
  }

  /** Hands this turn's messages to the transport; the outbox calls it. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const { sent } = this.#wiring;
    try {
      for (const frame of batch.frames(this.#wiring.lane.separator)) {
        sent.frames++;
        sent.chars += frame.length;
        if (!this.#backlog.send(frame)) return this.close(closeCodes.slow);
      }
    } catch (error) {
      return this.#fail("send", error);
    }
    if (this.#backlog.waits) this.#wiring.outbox.block(this);
  }

  /** Hands over what the network is ready to take; `false` when nothing waits any more. */
  relieve(): boolean {
    if (!this.open) return false;
    try {
      this.#backlog.relieve();
    } catch (error) {
      this.#fail("send", error);
    }
    return this.open && this.#backlog.waits;
  }

  /** A message came in; the transport calls it. */
  receive(data: Message): void {
    if (this.#state !== "open") return;
    this.#heard = true;
    const refusal = this.#refusal(data);
    if (refusal !== undefined) return this.close(refusal);
    if (this.#wiring.hooks.message(this, data) || !this.open) return;
    if (this.#inbox === undefined) this.#handle(data);
    else if (!this.#inbox.push(data)) this.close(closeCodes.tooManyRequests);
  }

  /** The client or the network ended the connection; the transport calls it. */
  ended(why: Closed): void {
    if (this.open) this.#end(why);
  }

  /** The client gave a sign of life; the transport calls it. */
  heard(): void {
    this.#heard = true;
  }

  /** Asks for a sign of life, by the protocol's own ping or else the transport's, and listens from now on. */
  ping(): void {
    if (this.#backlog.stalled()) return this.close(closeCodes.slow);
    const session = this.#session;
    try {
      this.#heard = false;
      if (session?.ping !== undefined) this.#wiring.hooks.contain(this.endpoint.name, "ping", session.ping());
      else this.#heard = this.#backlog.transport.ping?.() !== true;
    } catch (error) {
      this.#fail("ping", error);
    }
  }

  /** Closes it if it has given no sign of life since the ping. */
  checkPong(): void {
    if (!this.#heard) this.close(closeCodes.noPong);
  }

  #refusal(data: Message): CloseCode | undefined {
    const { endpoint: { accepts = "text" }, limits: { maxMessageBytes } } = this.#wiring;
    if (accepts !== "any" && (typeof data === "string") !== (accepts === "text")) {
      return closeCodes.unsupportedData;
    }
    if (exceeds(data, maxMessageBytes)) return closeCodes.tooLarge;
  }

  #handle(data: Message): void {
    try {
      const work = this.#session!.message(data);
      if (work !== undefined) this.#working = this.#work(work);
    } catch (error) {
      this.#fail("message", error);
    }
  }

  /** Waits for a handler, then for those of the messages that came meanwhile, one after the other. */
  async #work(first: Promise<void>): Promise<void> {
    const inbox = this.#inbox = new Inbox(this.#wiring.limits);
    try {
      await first;
      for (let data = inbox.shift(); data !== undefined; data = inbox.shift()) {
        await this.#session!.message(data);
      }
    } catch (error) {
      this.#fail("message", error);
    }
    this.#inbox = this.#working = undefined;
  }

  #end(why: Closed): void {
    const early = this.#state === "opening";
    this.#state = "ended";
    this.#batch = undefined;
    this.#inbox?.clear();
    this.#wiring.outbox.unblock(this);
    this.#wiring.ended(this);
    if (early) this.#endedEarly = why;
    else this.#tell(why);
  }

  #tell(why: Closed): void {
    const { hooks, endpoint } = this.#wiring;
    try {
      hooks.contain(endpoint.name, "close", this.#session?.close?.(why));
    } catch (error) {
      hooks.failed(endpoint.name, "close", error);
    }
    hooks.close(this, why);
  }

  #fail(hook: string, error: unknown): void {
    this.#wiring.hooks.failed(this.#wiring.endpoint.name, hook, error);
    this.close(closeCodes.internalError);
  }
}

/** Whether a message has more than `limit` bytes in UTF-8. */
function exceeds(data: Message, limit: number): boolean {
  if (data.length > limit) return true;
  // A UTF-16 unit takes at most three bytes, so most texts need no count.
  return typeof data === "string" && data.length * 3 > limit && new TextEncoder().encode(data).length > limit;
}
