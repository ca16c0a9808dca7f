/**
 * A link to one Redis server: a connection and a watchdog. When the connection fails, it is replaced: then messages may be
 * missing, and the link reports it to its owners.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
// @ts-types="./client.d.ts"
import { ErrorReply, type RedisClient } from "@redis/client";
import { type Log, messageOf, PlugboardError } from "../../core/mod.ts";
import { backoffMs } from "../shared/backoff.ts";
import type { Generation } from "./generation.ts";
import { SCRIPTS } from "./scripts.ts";
import type { RedisAddress } from "./address.ts";
import { BYTES, destroy } from "./connection.ts";
import { type Load, type LoadLimits, loadWithin } from "./load.ts";
import { type OpenConnection, openConnection } from "./opening.ts";

/** What a link reports to its owner. */
export interface LinkEvents {
  /** A message in a Redis channel that {@linkcode Link.subscribe} has subscribed to. */
  message(name: string, message: Buffer): void;
  /** The link is lost. */
  down(): void;
  /** The link is back, and all subscriptions are. Messages may be missing. */
  back(): void;
}

/** Bounds of a link. */
export interface LinkLimits extends LoadLimits {
  /** How long the server may not answer. */
  readonly timeoutMs: number;
}

/** An argument of a command. */
export type Argument = string | Buffer;

/** The delay before the first try to connect again, and the longest one. */
const RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;
/** A server that has not echoed for so many beats is given up. Beats are counted, since this process may be stopped too. */
const BEATS = 3;

/** See the module. */
export class Link {
  readonly address: RedisAddress;
  readonly limits: LinkLimits;
  readonly #owners = new Set<LinkEvents>();
  readonly #echoName = `${crypto.randomUUID()}:echo`;
  /** The names that are subscribed to, on this connection and on the next one. */
  readonly #names = new Set<string>();
  #log: Log | undefined;
  #open: OpenConnection | undefined;
  readonly #load: Load;
  #unanswered = 0;
  #stopped = true;
  #endBeat: (() => void) | undefined;
  #endRetry: (() => void) | undefined;
  #connecting: Promise<void> | undefined;

  constructor(address: RedisAddress, limits: LinkLimits) {
    this.address = address;
    this.limits = limits;
    this.#load = loadWithin(limits);
  }

  /** Adds an owner. */
  own(events: LinkEvents): void {
    this.#owners.add(events);
  }

  /** Opens the link. Rejects if the server cannot be reached now. */
  async open(log: Log): Promise<void> {
    this.#log = log;
    this.#stopped = false;
    try {
      await this.#connect();
    } catch (error) {
      this.#stopped = true;
      throw new Error(`Redis at ${this.address.name}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Closes the link. */
  async close(): Promise<void> {
    this.#stopped = true;
    this.#endRetry?.();
    this.#drop();
    await this.#connecting?.catch(() => {});
  }

  /** Whether a command can be sent. */
  get isUp(): boolean {
    return this.#open !== undefined;
  }

  /** The generation of the server's data; throws `unavailable` without a connection. */
  get generation(): Generation {
    return this.#required().generation;
  }

  /** Runs a script. The keys get the prefix; strings in the answer are bytes. */
  async run(
    script: keyof typeof SCRIPTS,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<unknown> {
    const { prefix } = this.address;
    const tail = [String(keys.length), ...keys.map((key) => prefix + key), ...args];
    const { sha, text } = SCRIPTS[script];
    try {
      return await this.send(["EVALSHA", sha, ...tail]);
    } catch (error) {
      if (!(error instanceof PlugboardError) || !error.message.includes("NOSCRIPT")) throw error;
      return await this.send(["EVAL", text, ...tail]); // The server's scripts were removed.
    }
  }

  /** Sends a command. A command without an answer fails with the connection. */
  async send(command: readonly Argument[]): Promise<unknown> {
    const { client } = this.#required();
    let bytes = 0;
    for (const argument of command) bytes += argument.length;
    if (!this.#load.add(bytes)) throw this.#unavailable("does not keep up");
    try {
      return await client.sendCommand(command, BYTES);
    } catch (error) {
      if (error instanceof ErrorReply && /^READONLY/.test(error.message)) this.#fail(client, error);
      throw this.#unavailable(
        error instanceof ErrorReply ? `answered: ${error.message}` : "is not reachable",
      );
    } finally {
      this.#load.remove(1, bytes);
    }
  }

  /** Publishes to a Redis channel. */
  async publish(name: string, message: Argument): Promise<void> {
    await this.send(["PUBLISH", this.address.prefix + name, message]);
  }

  /** Subscribes to a Redis channel. Once it settles, no later message is missed until the link is lost. */
  async subscribe(name: string): Promise<void> {
    const { client } = this.#required();
    try {
      await client.subscribe(this.address.prefix + name, this.#receive, true);
    } catch {
      throw this.#unavailable("is not reachable");
    }
    this.#names.add(name);
  }

  /** Ends a subscription. Without a connection there is none to end. */
  async unsubscribe(name: string): Promise<void> {
    this.#names.delete(name);
    try {
      await this.#open?.client.unsubscribe(this.address.prefix + name, this.#receive, true);
    } catch { /* The connection is lost, and with it the subscription. */ }
  }

  readonly #receive = (message: Buffer, name: Buffer): void => {
    const short = name.toString().slice(this.address.prefix.length);
    if (short === this.#echoName) this.#unanswered = 0;
    else for (const owner of this.#owners) owner.message(short, message);
  };

  #required(): OpenConnection {
    if (this.#open === undefined) throw this.#unavailable("is not reachable");
    return this.#open;
  }

  #unavailable(why: string): PlugboardError {
    return new PlugboardError("unavailable", `Redis at ${this.address.name} ${why}`);
  }

  #connect(): Promise<void> {
    return this.#connecting = this.#tryToConnect().finally(() => this.#connecting = undefined);
  }

  async #tryToConnect(): Promise<void> {
    const names = [this.#echoName, ...this.#names];
    const open = await openConnection({
      address: this.address,
      names,
      receive: this.#receive,
      failed: (client, error) => this.#fail(client, error),
      warn: (message) => this.#log?.warn(message, { server: this.address.name }),
    });
    if (this.#stopped) {
      destroy(open.client);
      throw new Error("The link was closed");
    }
    this.#open = open;
    for (const name of names) {
      if (name !== this.#echoName && !this.#names.has(name)) void this.unsubscribe(name);
    }
    this.#startBeat(open.client);
  }

  /** Publishes to itself, so that a connection that receives nothing is noticed. */
  #startBeat(client: RedisClient): void {
    this.#unanswered = 0;
    // The network has the system's time, also where a test has another one.
    const timer = setInterval(() => {
      if (this.#unanswered++ >= BEATS) return this.#fail(client, new Error("no answer"));
      client.sendCommand(["PUBLISH", this.address.prefix + this.#echoName, ""]).catch(() => {});
    }, this.limits.timeoutMs / BEATS);
    this.#endBeat = () => clearInterval(timer);
  }

  #fail(client: RedisClient, error: unknown): void {
    if (this.#open?.client !== client) return;
    this.#log?.warn("the connection to Redis is lost", {
      server: this.address.name,
      error: messageOf(error),
    });
    this.#drop();
    if (!this.#stopped) this.#reconnect(0);
  }

  #drop(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    this.#endBeat?.();
    destroy(open.client);
    this.#tell("down");
  }

  #tell(what: "down" | "back"): void {
    for (const owner of this.#owners) {
      try {
        owner[what]();
      } catch (error) {
        this.#log?.error("the loss of a connection was not handled", { error: messageOf(error) });
      }
    }
  }

  #reconnect(failures: number): void {
    const timer = setTimeout(async () => {
      try {
        await this.#connect();
      } catch {
        if (!this.#stopped) this.#reconnect(failures + 1);
        return;
      }
      this.#log?.info("the connection to Redis is back", { server: this.address.name });
      this.#tell("back");
    }, backoffMs(failures, RETRY_MS, MAX_RETRY_MS));
    this.#endRetry = () => clearTimeout(timer);
  }
}
