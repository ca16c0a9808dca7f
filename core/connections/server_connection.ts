import { type CloseCode, closeCodes, type Closed } from "../contract/close_codes.ts";
import type { Connection } from "../contract/connection.ts";
import type { Endpoint, Session, Upgrade } from "../contract/endpoint.ts";
import { exceedsBytes, type FrameKind, type Message } from "../contract/framing.ts";
import type { ConnectionLimits } from "../contract/admission.ts";
import type { Sent } from "../contract/plugin.ts";
import type { Transport, TransportEvents } from "../contract/transport.ts";
import { Backlog } from "./backlog.ts";
import type { ConnectionHooks } from "./connection_hooks.ts";
import { Inbox } from "./inbox.ts";
import type { Guarded } from "./memory_guard.ts";
import type { Batch, Lane, Outbox } from "./outbox.ts";
import type { Turns } from "./turns.ts";

/** What the connections of one endpoint and format share, so that each of them stays small. */
export interface Wiring {
  readonly endpoint: Endpoint;
  readonly accepts: FrameKind;
  readonly format: unknown;
  readonly lane: Lane;
  readonly outbox: Outbox;
  readonly turns: Turns;
  readonly hooks: ConnectionHooks;
  readonly limits: ConnectionLimits;
  /** Counts what is sent to all of them. */
  readonly sent: Sent;
  /** Called once, when a connection has ended. */
  readonly ended: (conn: ServerConnection) => void;
}

/** After this much was sent to a client, others have a turn before its next request. A character of text counts as one. */
const TURN_BYTES = 65_536;

/** Pings until which a connection that leaves may wait for answers. Its handler may hang. */
const MAX_PINGS = 2;

/** A connection: plugins see a {@linkcode Connection}, the transport sees {@linkcode TransportEvents}. */
export class ServerConnection implements Connection, Guarded, TransportEvents {
  readonly id: string;
  readonly ip: string;
  readonly openedAt: number;
  quietPings: number;
  /** Where liveness keeps it. */
  livenessSlot = 0;
  readonly #wiring: Wiring;
  readonly #backlog: Backlog;
  #session: Session<Message> | undefined;
  #state: "opening" | "open" | "leaving" | "ended" = "opening";
  /** Why it ended while the open hooks were still running. */
  #endedEarly: Closed | undefined;
  #batch: Batch | undefined;
  #inbox: Inbox | undefined;
  #working: Promise<void> | undefined;
  #leaving: { readonly why: CloseCode; pings: number } | undefined;
  #heard = true;
  /** Bytes that were sent since its last turn. */
  #sentBytes = 0;

  constructor(wiring: Wiring, transport: Transport, upgrade: Upgrade, openedAt: number) {
    this.#wiring = wiring;
    this.#backlog = new Backlog(transport, wiring.limits);
    this.id = upgrade.connectionId;
    this.ip = upgrade.ip;
    this.openedAt = openedAt;
    // The client cannot send on an HTTP stream, which has no ping.
    this.quietPings = transport.ping === undefined ? 0 : Infinity;
  }

  get endpoint(): Endpoint {
    return this.#wiring.endpoint;
  }

  get format(): unknown {
    return this.#wiring.format;
  }

  get open(): boolean {
    return this.#state !== "ended";
  }

  get queuedBytes(): number {
    return this.#backlog.bytes + (this.#batch?.length ?? 0);
  }

  get heldBytes(): number {
    return this.#backlog.heldBytes + (this.#batch?.length ?? 0) + (this.#inbox?.bytes ?? 0);
  }

  send(message: Message): boolean {
    if (this.#state === "ended") return false;
    const before = this.#batch;
    this.#batch = (before ?? this.#wiring.lane.root).with(message);
    this.#sentBytes += message.length;
    if (before === undefined) (this.#backlog.transport.outlet ?? this.#wiring.outbox).add(this);
    else if (this.#batch.length > this.#wiring.limits.maxQueuedBytes) {
      this.#backlog.transport.outlet?.hasten?.(this);
    }
    return true;
  }

  turn(): Promise<void> | undefined {
    const { turns } = this.#wiring;
    return this.open && (this.#answeredMuch || turns.overdue) ? this.#nextTurn() : undefined;
  }

  close(why: CloseCode): void {
    if (this.#state === "ended") return;
    this.flush();
    if (!this.open) return; // The flush closed a slow connection.
    this.#end({ code: why.code, reason: why.reason, by: "server" });
    const backlog = this.#backlog;
    try {
      if (why === closeCodes.slow || why === closeCodes.noPong) backlog.drop();
      else backlog.flush();
      backlog.transport.close(why.code, why.reason);
    } catch (error) {
      this.#wiring.hooks.failed(this.#wiring.endpoint.name, "close", error);
    }
  }

  /** Accepts no more messages, and closes when those that have arrived are answered. */
  async leave(why: CloseCode): Promise<void> {
    if (this.#state === "open") this.#state = "leaving";
    this.#leaving ??= { why, pings: 0 };
    await this.#working;
    try {
      await this.#session?.answered?.();
    } catch (error) {
      return this.#fail("answered", error);
    }
    this.close(why);
  }

  /** Calls the open hooks and opens the session. Called once. */
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
    else this.#notifyEnd(this.#endedEarly!);
  }

  /** Sends the messages that wait. The outlet calls it. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const { sent, lane } = this.#wiring;
    lane.root.clear(); // Messages that follow build their sequences again.
    try {
      const { frames, chars } = batch.frames(lane);
      sent.frames += frames.length;
      sent.chars += chars;
      if (!this.#backlog.sendAll(frames, chars)) return this.close(closeCodes.slow);
    } catch (error) {
      return this.#fail("send", error);
    }
    if (this.#backlog.hasFrames) this.#wiring.outbox.block(this);
  }

  /** Sends what the network can take now. Returns whether frames still wait. */
  retry(): boolean {
    if (!this.open) return false;
    try {
      this.#backlog.retry();
    } catch (error) {
      this.#fail("send", error);
    }
    return this.open && this.#backlog.hasFrames;
  }

  receive(data: Message): void {
    this.#heard = true;
    this.quietPings = 0;
    if (this.#state !== "open") return;
    const refusal = this.#refusal(data);
    if (refusal !== undefined) return this.close(refusal);
    if (this.#wiring.hooks.message(this, data) || !this.open) return;
    if (this.#inbox === undefined) this.#handle(data);
    else if (!this.#inbox.push(data)) void this.leave(closeCodes.tooManyRequests);
  }

  ended(why: Closed): void {
    if (this.open) this.#end(why);
  }

  heard(): void {
    this.#heard = true;
  }

  /** Closes the connection if the network has taken nothing since the last check, although something waits. */
  checkReader(): void {
    if (this.#backlog.stalled()) this.close(closeCodes.slow);
  }

  /** Asks for a sign of life with the protocol's ping, else with the transport's. With `again`, signs since the last one count. */
  ping(again = false): void {
    if (!this.open) return;
    if (this.#backlog.transport.ping !== undefined) this.quietPings++;
    if (this.#leaving !== undefined && ++this.#leaving.pings > MAX_PINGS) {
      return this.close(this.#leaving.why);
    }
    const session = this.#session;
    try {
      if (!again) this.#heard = false;
      const sent = session?.ping === undefined ? this.#backlog.transport.ping?.() ?? false : session.ping();
      if (sent === false) this.#heard = true;
      this.#wiring.hooks.contain(this.endpoint.name, "ping", sent);
    } catch (error) {
      this.#fail("ping", error);
    }
  }

  /** Closes the connection if there was no sign of life since the ping. */
  checkPong(): void {
    if (!this.#heard) this.close(closeCodes.noPong);
  }

  #refusal(data: Message): CloseCode | undefined {
    const { accepts, limits: { maxMessageBytes } } = this.#wiring;
    if (accepts !== "any" && (typeof data === "string") !== (accepts === "text")) {
      return closeCodes.unsupportedData;
    }
    if (exceedsBytes(data, maxMessageBytes)) return closeCodes.tooLarge;
  }

  #handle(data: Message): void {
    try {
      const work = this.#session!.message(data) ?? (this.#answeredMuch ? this.#nextTurn() : undefined);
      if (work !== undefined) this.#working = this.#work(work);
    } catch (error) {
      this.#fail("message", error);
    }
  }

  /** Waits for a handler, then handles the messages that arrived meanwhile, one after the other. */
  async #work(first: Promise<void>): Promise<void> {
    const inbox = this.#inbox = new Inbox(this.#wiring.limits);
    try {
      await first;
      for (;;) {
        const turn = this.turn();
        if (turn !== undefined) await turn;
        const data = inbox.shift();
        if (data === undefined) break;
        await this.#session!.message(data);
      }
    } catch (error) {
      this.#fail("message", error);
    }
    this.#inbox = this.#working = undefined;
  }

  get #answeredMuch(): boolean {
    return this.#sentBytes >= TURN_BYTES;
  }

  #nextTurn(): Promise<void> | undefined {
    if (!this.open) return undefined;
    this.#sentBytes = 0;
    return this.#wiring.turns.wait(this);
  }

  #end(why: Closed): void {
    const early = this.#state === "opening";
    this.#state = "ended";
    this.#batch = undefined;
    this.#inbox?.clear();
    this.#wiring.outbox.unblock(this);
    this.#wiring.turns.end(this);
    this.#wiring.ended(this);
    if (early) this.#endedEarly = why;
    else this.#notifyEnd(why);
  }

  #notifyEnd(why: Closed): void {
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
