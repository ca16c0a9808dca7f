/**
 * One client's side of the protocol: signs it in, then runs its commands in order and answers them.
 *
 * @module
 */

import type { Connection, Host, Session, TransportEvents } from "../../../core/mod.ts";
import type { Channels, Client } from "../../channels.ts";
import type { Identity } from "../../shared/identity.ts";
import { costly, Disconnection, disconnects, errorReply, internalError, signInCosts } from "./codes.ts";
import { connectResult, encoder, lifetime, object, PING, refreshPush, refusalOf, reply } from "./encoding.ts";
import { asFields, type Fields, idOf, malformed, parseCommand } from "./fields.ts";
import { type Caller, type Method, methods, type Services } from "./methods.ts";
import { renew, serverSubscriptions, signIn } from "./sign_in.ts";

/** What all sessions share. */
export interface Shared extends Services {
  readonly channels: Pick<Channels, "connect">;
  readonly pingSeconds: number;
  readonly personalChannels: boolean;
  /** Which server holds a stream, for messages that come beside it. */
  readonly node: string;
  /** Connections over streams, by the secret their clients send with each message. */
  readonly streams: Map<string, Connection>;
  /** What clients send beside their streams goes here. */
  readonly incoming: WeakMap<Connection, TransportEvents>;
  /** Those that have not signed in yet, with the time until which they may; the longest waiting first. */
  readonly strangers: Map<CentrifugeSession, number>;
  host(): Host;
}

/** How long a client may take to sign in. */
const STRANGER_MS = 10_000;

/** Commands of one client that may be under way beside each other. */
const MAX_BESIDE = 64;

/** After so many characters of answers, everybody else has a turn. */
const TURN_CHARS = 65_536;

/** SDK 5.7 tries again without any delay when a stream refuses it; so the refusal takes a moment. */
const STREAM_REFUSAL_MS = 50;

/** One connection's state. */
export class CentrifugeSession implements Session, Caller {
  readonly conn: Connection;
  readonly services: Shared;
  /** The secret that messages beside the stream carry; absent over a WebSocket. */
  readonly #secret: string | undefined;
  #state: "new" | "connecting" | "connected" | "refused" = "new";
  #client: Client | undefined;
  #beside = 0;
  #spent = 0;
  #unanswered = 0;
  #renewing = false;
  #endPause: (() => void) | undefined;

  constructor(shared: Shared, conn: Connection, overStream: boolean) {
    this.conn = conn;
    this.services = shared;
    this.#secret = overStream ? crypto.randomUUID() : undefined;
    if (this.#secret !== undefined) shared.streams.set(this.#secret, conn);
    shared.strangers.set(this, shared.clock().now() + STRANGER_MS);
  }

  /** The client, once it has signed in. */
  get client(): Client {
    if (this.#client === undefined) throw malformed("command before connect");
    return this.#client;
  }

  message(frame: string): void | Promise<void> {
    if (frame.includes("\n")) return this.#handleLines(frame.split("\n"));
    return this.#handle(frame) ?? this.#turn();
  }

  ping(): void {
    if (this.#state !== "connected") return;
    this.#unanswered++;
    this.conn.send(PING);
  }

  close(): void {
    this.#endPause?.();
    this.services.strangers.delete(this);
    if (this.#secret !== undefined) this.services.streams.delete(this.#secret);
  }

  /** Nobody has signed in for too long. */
  stale(): void {
    this.conn.close(disconnects.stale);
  }

  reply(id: number, method: string, result: string): void {
    this.#answer(reply(id, method, result));
  }

  async refresh(params: Fields): Promise<string> {
    const { client } = this;
    try {
      const identity = await renew(this.services.access, this.conn, params);
      this.#renewing = true;
      client.identify(identity);
      return object(this.#introduction(identity));
    } catch (error) {
      throw costly(error, { ...signInCosts, token_expired: disconnects.expired });
    } finally {
      this.#renewing = false;
    }
  }

  async #handleLines(lines: string[]): Promise<void> {
    if (lines.at(-1) === "") lines.pop(); // a frame may end with the separator
    for (const line of lines) {
      await this.#handle(line);
      if (!this.conn.open || this.#state === "refused") return;
      await this.#turn();
    }
  }

  #handle(line: string): Promise<void> | undefined {
    if (line === PING) return this.#pong();
    let id = 0;
    try {
      const command = parseCommand(line);
      id = idOf(command);
      if (this.#state !== "connected") return this.#connect(id, command);
      for (const name in command) {
        const method = methods.get(name);
        if (method !== undefined) return this.#run(method, name, id, asFields(command[name]));
      }
      if (id === 0 && command.connect === undefined) return this.#pong();
      throw malformed("command");
    } catch (error) {
      this.#fail(id, error);
    }
  }

  #run(method: Method, name: string, id: number, params: Fields): Promise<void> | undefined {
    if (id === 0 && !method.silent) throw malformed("id");
    const result = method.run(this, params, id);
    if (result instanceof Promise) {
      const work = this.#finish(name, id, result);
      return method.beside && this.#beside < MAX_BESIDE ? undefined : work;
    }
    if (result !== undefined) this.reply(id, name, result);
  }

  async #finish(name: string, id: number, running: Promise<string | undefined>): Promise<void> {
    this.#beside++;
    try {
      const result = await running;
      if (result !== undefined) this.reply(id, name, result);
    } catch (error) {
      this.#fail(id, error);
    } finally {
      this.#beside--;
    }
  }

  async #connect(id: number, { connect }: Fields): Promise<void> {
    try {
      if (this.#state !== "new" || id === 0) throw malformed("command before connect");
      this.#state = "connecting";
      await this.#welcome(id, asFields(connect));
    } catch (error) {
      await this.#turnAway(id, error);
    }
  }

  async #welcome(id: number, params: Fields): Promise<void> {
    const { access, channels, personalChannels, strangers, pingSeconds, node, clock } = this.services;
    const signedIn = await signIn(access, this.conn, params);
    const { identity } = signedIn;
    const requests = serverSubscriptions(signedIn, params, personalChannels);
    if (!this.conn.open) return;
    strangers.delete(this);
    const client = channels.connect(this.conn, {
      identity,
      encoder,
      refreshed: (expiresAt) => this.#refreshed(expiresAt),
    });
    this.#client = client;
    await client.subscribeAll(requests, (subscribed) => {
      this.#state = "connected";
      const secret = this.#secret;
      const stream = secret === undefined ? undefined : { secret, node };
      const result = connectResult(
        this.#introduction(identity),
        subscribed,
        pingSeconds,
        stream,
        clock().now(),
      );
      this.reply(id, "connect", result);
    });
  }

  /** Says no to a client that wants to sign in. It may stay and listen to that, but nothing else it says counts. */
  async #turnAway(id: number, error: unknown): Promise<void> {
    this.#state = "refused";
    if (this.#secret !== undefined) {
      await this.#pause((resume) => this.services.clock().after(STREAM_REFUSAL_MS, resume));
    }
    this.#fail(id, costly(error, signInCosts));
  }

  #answer(line: string): void {
    this.#spent += line.length;
    this.conn.send(line);
  }

  #pong(): undefined {
    // No SDK answers what it was not asked.
    if (this.#unanswered === 0) return this.#fail(0, malformed("pong"));
    this.#unanswered--;
  }

  /**
   * Lets everybody else have a turn when this client had much of one. A timer, because the runtime hardly looks for
   * input between one `setImmediate` and the next.
   */
  #turn(): Promise<void> | undefined {
    if (this.#spent < TURN_CHARS) return undefined;
    this.#spent = 0;
    return this.#pause((resume) => {
      const timer = setTimeout(resume, 0);
      return () => clearTimeout(timer);
    });
  }

  /** Waits for what is scheduled, or for the end of the connection. */
  #pause(schedule: (resume: () => void) => () => void): Promise<void> {
    return new Promise((resolve) => {
      const cancel = schedule(resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  /** What the client is told about itself. */
  #introduction({ expiresAt }: Identity): string {
    const lasting = lifetime(expiresAt, this.services.clock().now());
    return `"client":"${this.conn.id}","version":"plugboard"` + (lasting === undefined ? "" : `,${lasting}`);
  }

  /** The sign-in has got another end; whoever renewed it is answered otherwise. */
  #refreshed(expiresAt: number | undefined): void {
    if (!this.#renewing) this.conn.send(refreshPush(expiresAt, this.services.clock().now()));
  }

  #fail(id: number, error: unknown): undefined {
    if (error instanceof Disconnection) {
      this.services.host().log.debug("disconnected a client", {
        client: this.conn.id,
        reason: error.message,
      });
      return this.conn.close(error.why) as undefined;
    }
    const answer = errorReply(error);
    if (answer === undefined) {
      this.services.host().log.error("a command failed", { client: this.conn.id, error });
    }
    if (id > 0) this.#answer(refusalOf(id, answer ?? internalError));
  }
}
