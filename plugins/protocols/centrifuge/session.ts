/**
 * A client's side of the protocol: signs it in, then runs its commands in order and replies.
 *
 * @module
 */

import {
  attempt,
  chain,
  closeCodes,
  type Connection,
  type Host,
  type MaybePromise,
  type Message,
  type Session,
} from "../../../core/mod.ts";
import type { Channels, Client } from "../../channels.ts";
import { anonymousSignIn } from "../../shared/identity.ts";
import type { Codec, Command, Result, SubscribeResult } from "./codec.ts";
import {
  asDisconnect,
  DisconnectError,
  disconnects,
  errorReply,
  internalError,
  malformed,
  signInDisconnects,
  uniDisconnect,
} from "./codes.ts";
import { type Caller, concurrentMethods, type MethodName, methods, type Services, ttlOf } from "./methods.ts";
import { describeClient, type GivenSignIn, serverSubscriptions } from "./sign_in.ts";

/** What all sessions share. */
export interface Shared extends Services {
  readonly channels: Pick<Channels, "connect">;
  readonly personalChannels: boolean;
  /** Identifies this server in requests to the emulation endpoint. */
  readonly node: string;
  /** Connections over streams, by the secret that their clients send with each request. */
  readonly streams: Map<string, Connection>;
  /** Sessions that have not signed in, with the time until which they may; the oldest first. */
  readonly unauthenticated: Map<CentrifugeSession, number>;
  host(): Host;
}

const SIGN_IN_TIMEOUT_MS = 10_000;

/** Maximum concurrent commands per client. */
const MAX_CONCURRENT = 64;

/** SDK 5.7 retries without a delay when a stream refuses it, so the refusal is delayed. */
const STREAM_REFUSAL_MS = 50;

/** How a session differs from one over a WebSocket. */
export interface SessionOptions {
  /** Whether the client sends requests to the emulation endpoint. @default {false} */
  readonly emulated?: boolean;
  /** Whether the client sends only a connect, and gets no replies. @default {false} */
  readonly oneWay?: boolean;
  /** Whether the protocol's pings are sent; the kernel sends others. @default {true} */
  readonly ownPings?: boolean;
}

/** One connection's state. */
export class CentrifugeSession implements Session<Message>, Caller {
  readonly conn: Connection;
  readonly services: Shared;
  /** Sends the protocol's ping. Absent if the client wants WebSocket pings: the kernel sends them. */
  readonly ping?: () => boolean;
  readonly #codec: Codec;
  readonly #oneWay: boolean;
  /** The secret for requests to the emulation endpoint; absent over a WebSocket. */
  readonly #secret: string | undefined;
  #state: "new" | "connecting" | "connected" | "refused" = "new";
  #client: Client | undefined;
  #concurrent = 0;
  #allDone: (() => void) | undefined;
  #pendingPongs = 0;
  #renewing = false;
  #endPause: (() => void) | undefined;

  constructor(
    shared: Shared,
    conn: Connection,
    codec: Codec,
    { emulated = false, oneWay = false, ownPings = true }: SessionOptions = {},
  ) {
    this.conn = conn;
    this.services = shared;
    this.#codec = codec;
    if (ownPings) this.ping = CentrifugeSession.#ping;
    this.#oneWay = oneWay;
    this.#secret = emulated ? crypto.randomUUID() : undefined;
    if (this.#secret !== undefined) shared.streams.set(this.#secret, conn);
    shared.unauthenticated.set(this, shared.clock().monotonicTime() + SIGN_IN_TIMEOUT_MS);
  }

  /** The client; methods run only after its sign-in. */
  get client(): Client {
    return this.#client!;
  }

  message(frame: Message): void | Promise<void> {
    // The SDK may have sent more before it got the refusal, and goes by what the refusal says.
    if (this.#stopped || this.#oneWay && this.#state !== "new") return;
    let commands: Iterable<Command>;
    try {
      commands = this.#codec.decode(frame);
    } catch (error) {
      return this.#fail(0, error);
    }
    return this.#runAll(commands[Symbol.iterator]());
  }

  /** One function for all sessions. */
  static #ping(this: CentrifugeSession): boolean {
    if (this.#state !== "connected") return false;
    this.#pendingPongs++;
    return this.conn.send(this.#codec.ping) && !this.#oneWay;
  }

  answered(): Promise<void> | undefined {
    if (this.#concurrent > 0) return new Promise((resolve) => this.#allDone = resolve);
  }

  close(): void {
    this.#endPause?.();
    this.services.unauthenticated.delete(this);
    if (this.#secret !== undefined) this.services.streams.delete(this.#secret);
  }

  /** The client has not signed in in time. */
  timeOut(): void {
    this.conn.close(disconnects.stale);
  }

  reply(id: number, result: Result): void {
    this.conn.send(this.#codec.reply(id, result));
  }

  async refresh(token: string): Promise<Result> {
    const { client, services: { access } } = this;
    if (access === undefined || token === "") throw malformed("token");
    try {
      const { identity } = await access.refresh(this.conn, token);
      this.#renewing = true;
      client.identify(identity);
      return { name: "refresh", client: client.id, ttl: ttlOf(identity.expiresAt, this.services.clock()) };
    } catch (error) {
      throw asDisconnect(error, { ...signInDisconnects, token_expired: closeCodes.connectionExpired });
    } finally {
      this.#renewing = false;
    }
  }

  /** Runs commands until one takes time, and returns the promise of the rest. */
  #runAll(commands: Iterator<Command>): void | Promise<void> {
    try {
      for (let next = commands.next(); !next.done; next = commands.next()) {
        const pending = this.#run(next.value) ?? this.conn.turn();
        if (pending !== undefined) {
          return pending.then(() => this.conn.turn()).then(() =>
            this.#stopped ? undefined : this.#runAll(commands)
          );
        }
        if (this.#stopped) return;
      }
    } catch (error) {
      this.#fail(0, error);
    }
  }

  /** Whether the rest of a frame, and what follows it, is ignored. */
  get #stopped(): boolean {
    return !this.conn.open || this.#state === "refused";
  }

  #run(command: Command): void | Promise<void> {
    const { name, id } = command;
    try {
      if (name === "pong") return this.#pong();
      if (id === 0 && name !== "send") throw malformed("id");
      if (name === "connect" && this.#state === "new") return this.#connect(command);
      if (name === "connect" || this.#state !== "connected") throw malformed("order of commands");
      if ("channel" in command && command.channel === "") throw malformed("channel");
      return this.#runMethod(command);
    } catch (error) {
      this.#fail(id, error);
    }
  }

  #runMethod<Name extends MethodName>(command: Command<Name>): void | Promise<void> {
    const result = methods[command.name](this, command);
    if (result instanceof Promise) {
      const work = this.#finish(command.id, result);
      return concurrentMethods.has(command.name) && this.#concurrent < MAX_CONCURRENT ? undefined : work;
    }
    if (result !== undefined) this.reply(command.id, result);
  }

  async #finish(id: number, running: Promise<Result | undefined>): Promise<void> {
    this.#concurrent++;
    try {
      const result = await running;
      if (result !== undefined) this.reply(id, result);
    } catch (error) {
      this.#fail(id, error);
    } finally {
      if (--this.#concurrent === 0) this.#allDone?.();
    }
  }

  #connect(command: Command<"connect">): MaybePromise<void> {
    const { token } = command;
    this.#state = "connecting";
    const signIn = () =>
      this.services.access?.connect(this.conn, {
        ...(token !== "" && { token }),
        about: describeClient(this.conn, this.#codec, command),
      });
    return attempt(
      () => chain(signIn(), (signedIn) => this.#begin(command, signedIn ?? anonymousSignIn)),
      (error) => this.#refuse(command.id, error),
    );
  }

  /** The client may stay to read the reply, but can send nothing more. */
  #refuse(id: number, error: unknown): MaybePromise<void> {
    this.#state = "refused";
    const wait = (resume: () => void) => this.services.clock().after(STREAM_REFUSAL_MS, resume);
    const pause = this.#secret === undefined ? undefined : this.#pause(wait);
    return chain(pause, () => this.#fail(id, asDisconnect(error, signInDisconnects)));
  }

  #begin(
    { id, subs: positions }: Command<"connect">,
    signedIn: GivenSignIn,
  ): MaybePromise<void> {
    const { channels, personalChannels, unauthenticated, node, host } = this.services;
    if (!this.conn.open) return;
    unauthenticated.delete(this);
    const { identity } = signedIn;
    const client = channels.connect(this.conn, {
      identity,
      encoder: this.#codec,
      session: this.#secret,
      refreshed: (expiresAt) => this.#refreshed(expiresAt),
    });
    this.#client = client;
    const requests = serverSubscriptions(signedIn, positions, personalChannels);
    return client.subscribeAll(requests, (all) => {
      this.#state = "connected";
      const subs = new Map<string, SubscribeResult>();
      for (const [channel, subscribed] of all) {
        subs.set(channel, { subscribed, ttl: ttlOf(subscribed.expiresAt, this.services.clock()) });
      }
      const stream = this.#secret === undefined ? undefined : { session: this.#secret, node };
      const ttl = ttlOf(identity.expiresAt, this.services.clock());
      const pong = this.ping !== undefined && !this.#oneWay;
      const pingSeconds = this.ping && Math.ceil(host().pingIntervalMs / 1000);
      const { data } = signedIn;
      this.reply(id, { name: "connect", client: client.id, data, ttl, subs, pingSeconds, pong, stream });
    });
  }

  #pong(): void {
    // An SDK sends no pong without a ping.
    if (this.#pendingPongs === 0) throw malformed("pong");
    this.#pendingPongs--;
  }

  /** Waits until it is resumed, or until the connection ends. `schedule` returns the function that cancels it. */
  #pause(schedule: (resume: () => void) => () => void): Promise<void> {
    return new Promise((resolve) => {
      const cancel = schedule(resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  /** The sign-in has another expiry. A client that asked for it gets a reply instead. */
  #refreshed(expiresAt: number | undefined): void {
    if (!this.#renewing) this.conn.send(this.#codec.refreshed(ttlOf(expiresAt, this.services.clock())));
  }

  #fail(id: number, error: unknown): void {
    const { log } = this.services.host();
    if (error instanceof DisconnectError) {
      log.debug("disconnected a client", { client: this.conn.id, reason: error.message });
      return this.conn.close(error.why);
    }
    const answer = errorReply(error);
    if (answer === undefined) log.error("a command failed", { client: this.conn.id, error });
    if (this.#oneWay) this.conn.close(uniDisconnect(answer ?? internalError));
    else if (id > 0) this.conn.send(this.#codec.error(id, answer ?? internalError));
  }
}
