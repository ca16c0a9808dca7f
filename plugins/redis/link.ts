/**
 * A link to one Redis server: a connection and a watchdog. When the connection fails, it is replaced: then messages may be
 * missing and nothing is subscribed to, and the link reports it to its owners.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { type Log, messageOf, PlugboardError } from "../../core/mod.ts";
import { backoffMs } from "../shared/backoff.ts";
import type { RedisAddress } from "./address.ts";
import type { Connection } from "./connection.ts";
import type { Generation } from "./generation.ts";
import { type Load, type LoadLimits, loadWithin } from "./load.ts";
import { isReplica, type Mode, openConnection, prepare, type Prepared } from "./opening.ts";
import { type Argument, encode, ErrorReply, type Value } from "./resp.ts";

/** Where a server is. */
export interface Place {
  readonly address: RedisAddress;
  /** Higher each time that another server took its place. */
  readonly epoch: number;
}

/** What a link reports to its owner. */
export interface LinkEvents {
  /** The link is lost, and all subscriptions are. */
  down(): void;
  /** The link is back. */
  back(): void;
}

/** What a subscription receives. */
export interface Listener {
  message(name: string, message: Buffer): void;
  /** The server has ended the subscription, since another one has its slot. */
  moved(): void;
}

/** Bounds of a link. */
export interface LinkLimits extends LoadLimits {
  /** How long the server may not answer. */
  readonly timeoutMs: number;
}

/** The delay before the first try to connect again, and the longest one. */
const RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;
/** How long connecting may take. It is more than an answer takes, since a server reads its data first. */
const CONNECT_MS = 5_000;
/** A server that has not answered for so many beats is given up. Beats are counted, since this process may be stopped too. */
const BEATS = 3;
/** How long the server may not answer while the node stops. */
const STOP_MS = 450;

/** See the module. */
export class Link {
  readonly address: RedisAddress;
  readonly limits: LinkLimits;
  readonly #log: Log;
  /** Where the server is now. */
  readonly #find: (signal: AbortSignal) => Promise<Place>;
  readonly #owners = new Set<LinkEvents>();
  readonly #listeners = new Map<string, Listener>();
  #open: Prepared | undefined;
  readonly #load: Load;
  /** From its opening until it is closed. */
  #life: AbortController | undefined;
  #wasUp = false;
  /** The latest error that was logged, until the link is back. */
  #problem = "";
  #beatMs: number;
  #changeBeat = () => {};
  #endBeat: (() => void) | undefined;
  #endRetry: (() => void) | undefined;
  #connecting: Promise<void> | undefined;

  constructor(
    address: RedisAddress,
    limits: LinkLimits,
    log: Log,
    find: (signal: AbortSignal) => Promise<Place> = () => Promise.resolve({ address, epoch: 0 }),
  ) {
    this.address = address;
    this.limits = limits;
    this.#log = log;
    this.#find = find;
    this.#load = loadWithin(limits);
    this.#beatMs = limits.timeoutMs / BEATS;
  }

  /** Adds an owner. Returns a function that removes it. */
  own(events: LinkEvents): () => void {
    this.#owners.add(events);
    return () => void this.#owners.delete(events);
  }

  /** Opens the link. Rejects if the server cannot be reached now. */
  async open(): Promise<void> {
    this.#life = new AbortController();
    try {
      await this.#connect();
      this.#wasUp = true;
    } catch (error) {
      this.#life = undefined;
      throw new Error(`Redis at ${this.address.name}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Opens the link as soon as the server can be reached. */
  openLater(): void {
    this.#life = new AbortController();
    this.#reconnect(0, 0);
  }

  /** From now on, the server is given up soon if it does not answer: the node stops, and should not wait for it. */
  hurry(): void {
    this.#beatMs = Math.min(this.#beatMs, STOP_MS / BEATS);
    this.#changeBeat();
  }

  /** Closes the link. */
  async close(): Promise<void> {
    this.#life?.abort();
    this.#life = undefined;
    this.#endRetry?.();
    this.#drop();
    await this.#connecting?.catch(() => {});
  }

  /** Whether a command can be sent. */
  get isUp(): boolean {
    return this.#open !== undefined;
  }

  /** The kind of the server; that of the latest connection. */
  get mode(): Mode | undefined {
    return this.#open?.mode;
  }

  /** The generation of the server's data; throws `unavailable` without a connection. */
  get generation(): Generation {
    return this.#required().generation;
  }

  /** Sends a command. A command without an answer fails with the connection. */
  async send(command: readonly Argument[]): Promise<Value> {
    const { connection } = this.#required();
    const encoded = encode(command);
    const { bytes } = encoded;
    if (!this.#load.add(bytes)) throw this.#unavailable(undefined, "does not keep up");
    try {
      return await connection.sendEncoded(encoded);
    } catch (error) {
      if (error instanceof ErrorReply && /^READONLY/.test(error.message)) this.#fail(connection, error);
      throw this.#unavailable(error);
    } finally {
      this.#load.remove(1, bytes);
    }
  }

  /** Subscribes to Redis channels. Once it settles, no later message is missed until the link is lost. */
  async subscribe(names: readonly string[], listener: Listener): Promise<void> {
    const { connection } = this.#required();
    for (const name of names) this.#listeners.set(name, listener);
    try {
      await connection.subscribe(names);
    } catch (error) {
      if (this.#open?.connection === connection) { for (const name of names) this.#listeners.delete(name); }
      throw this.#unavailable(error);
    }
  }

  /** Ends a subscription. Without a connection there is none to end. */
  async unsubscribe(name: string): Promise<void> {
    if (!this.#listeners.delete(name)) return;
    try {
      await this.#open?.connection.unsubscribe(name);
    } catch { /* The connection is lost, or the slot has moved, and with it the subscription. */ }
  }

  #required(): Prepared {
    if (this.#open === undefined) throw this.#unavailable();
    return this.#open;
  }

  #unavailable(cause?: unknown, otherwise = "is not reachable"): PlugboardError {
    const why = cause instanceof ErrorReply ? `answered: ${cause.message}` : otherwise;
    return new PlugboardError("unavailable", `Redis at ${this.address.name} ${why}`, { cause });
  }

  #connect(): Promise<void> {
    return this.#connecting = this.#tryToConnect().finally(() => this.#connecting = undefined);
  }

  async #tryToConnect(): Promise<void> {
    const { signal } = this.#life!;
    const warn = (message: string) => this.#log.warn(message, { server: this.address.name });
    const place = await this.#find(signal);
    const prepared = await openConnection(
      place.address,
      {
        message: (name, message) => this.#listeners.get(name)?.message(name, message),
        moved: (name) => this.#moved(name),
        failed: (error) => this.#fail(prepared.connection, error),
      },
      { ms: CONNECT_MS, signal },
      (opened) => prepare(opened, warn),
    );
    const { connection } = prepared;
    if (signal.aborted) {
      connection.destroy();
      throw new Error("The link was closed");
    }
    this.#open = prepared;
    this.#startBeat(prepared, place);
  }

  #moved(name: string): void {
    const listener = this.#listeners.get(name);
    this.#listeners.delete(name);
    listener?.moved();
  }

  /** Asks again and again, so that it is noticed when a server does not answer, or is not the primary any more. */
  #startBeat({ connection, mode }: Prepared, place: Place): void {
    let unanswered = 0;
    let beats = 0;
    const answered = (info: Value) => {
      unanswered = 0;
      if (mode === "alone" && isReplica(String(info))) {
        this.#fail(connection, new Error("it has become a replica"));
      }
    };
    // The network has the system's time, also where a test has another one.
    const beat = () => {
      if (unanswered++ >= BEATS) return this.#fail(connection, new Error("no answer"));
      connection.send(["INFO", "replication"]).then(answered, () => {});
      if (++beats % BEATS === 0) void this.#follow(connection, place).catch(() => {});
    };
    let timer = setInterval(beat, this.#beatMs);
    this.#endBeat = () => clearInterval(timer);
    this.#changeBeat = () => {
      clearInterval(timer);
      timer = setInterval(beat, this.#beatMs);
    };
  }

  /** Looks whether another server is the primary now. The one that is connected to may not know it. */
  async #follow(connection: Connection, { address, epoch }: Place): Promise<void> {
    const now = await this.#find(this.#life!.signal);
    if (now.epoch > epoch && now.address.name !== address.name) {
      this.#fail(connection, new Error(`the primary is ${now.address.name} now`));
    }
  }

  #fail(connection: Connection, error: unknown): void {
    if (this.#open?.connection !== connection) return;
    this.#warn("the connection to Redis is lost", error);
    this.#drop();
    if (this.#life !== undefined) this.#reconnect(0);
  }

  /** Logs an error, once if it is repeated. */
  #warn(message: string, cause: unknown): void {
    const error = messageOf(cause);
    if (error !== this.#problem) this.#log.warn(message, { server: this.address.name, error });
    this.#problem = error;
  }

  #drop(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    this.#listeners.clear();
    this.#endBeat?.();
    this.#changeBeat = () => {};
    open.connection.destroy();
    for (const owner of this.#owners) owner.down();
  }

  #reconnect(failures: number, ms = backoffMs(failures, RETRY_MS, MAX_RETRY_MS)): void {
    const timer = setTimeout(async () => {
      try {
        await this.#connect();
      } catch (error) {
        if (this.#life === undefined) return;
        this.#warn("Redis cannot be connected to", error);
        return this.#reconnect(failures + 1);
      }
      this.#problem = "";
      if (this.#wasUp) this.#log.info("the connection to Redis is back", { server: this.address.name });
      this.#wasUp = true;
      for (const owner of this.#owners) owner.back();
    }, ms);
    this.#endRetry = () => clearTimeout(timer);
  }
}
