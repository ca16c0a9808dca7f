/**
 * Shards: what is asked about one name is on one of them. A shard is a server of its own, or a part of a Redis Cluster, which
 * may move from one server to another.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { type Log, messageOf, PlugboardError } from "../../core/mod.ts";
import { backoffMs } from "../shared/backoff.ts";
import type { Generation } from "./generation.ts";
import type { Link, Listener } from "./link.ts";
import type { Load } from "./load.ts";
import { type Argument, ErrorReply, type Value } from "./resp.ts";
import { SCRIPTS } from "./scripts.ts";

/** What a shard reports to its owner. */
export interface ShardEvents {
  /** A message in a Redis channel that {@linkcode Shard.subscribe} has subscribed to. The name is without the prefix. */
  message(name: string, message: Buffer): void;
  /** The shard is lost. */
  down(): void;
  /** The shard is back, and all subscriptions are. Messages may be missing. */
  back(): void;
}

/** A command with more names would block the server. */
const NAMES_AT_ONCE = 1_000;
const RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;

/** See the module. */
export class Shard {
  /** What its keys and Redis channels begin with. */
  prefix: string;
  /** What waits for it. The parts of a cluster share one. */
  readonly load: Load;
  /** Called when a server says that the shard is not there. */
  moved = () => {};
  /** The last key of all scripts. It does not exist: a server that gives its slot away answers none of them. */
  guard: string | undefined;
  readonly #owners = new Set<ShardEvents>();
  /** The names that are subscribed to, on this server and on the next one. */
  readonly #names = new Set<string>();
  #log: Log | undefined;
  #link: Link | undefined;
  #isUp = false;
  #wasUp = false;
  /** Counts losses. */
  #losses = 0;
  #disown = () => {};
  #endRetry = () => {};

  constructor(prefix: string, load: Load) {
    this.prefix = prefix;
    this.load = load;
  }

  /** Adds an owner. */
  own(events: ShardEvents): void {
    this.#owners.add(events);
  }

  /** Whether a command can be sent. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** The server; for messages. */
  get server(): string {
    return this.#link?.address.name ?? "an unknown primary";
  }

  /** The generation of its data; throws `unavailable` without a connection. */
  get generation(): Generation {
    return this.#required().generation;
  }

  /** Puts the shard on a server, or on none. Resolves when it is up there; rejects if it is not at once. */
  async attach(link: Link | undefined, log: Log): Promise<void> {
    if (link === this.#link) return;
    const before = this.#link;
    this.#disown();
    this.#lose();
    this.#link = link;
    this.#log = log;
    for (const name of this.#names) void before?.unsubscribe(this.prefix + name);
    if (link === undefined) return;
    this.#disown = link.own({ down: () => this.#lose(), back: () => void this.#restore(0).catch(() => {}) });
    if (link.isUp) await this.#restore(0);
  }

  /** Runs a script. The keys get the prefix; strings in the answer are bytes. */
  async run(
    script: keyof typeof SCRIPTS,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<Value> {
    const { sha, text } = SCRIPTS[script];
    const command: Argument[] = ["EVALSHA", sha, `${keys.length + (this.guard === undefined ? 0 : 1)}`];
    for (const key of keys) command.push(this.prefix + key);
    if (this.guard !== undefined) command.push(this.guard);
    for (const argument of args) command.push(argument);
    try {
      return await this.send(command);
    } catch (error) {
      if (!(error instanceof PlugboardError) || !error.message.includes("NOSCRIPT")) throw error;
      return await this.send(["EVAL", text, ...command.slice(2)]); // The server's scripts were removed.
    }
  }

  /** Sends a command. A command without an answer fails with the connection. */
  async send(command: readonly Argument[]): Promise<Value> {
    const link = this.#required();
    try {
      return await link.send(command);
    } catch (error) {
      this.#look(error);
      throw error;
    }
  }

  /** The node stops: see {@linkcode Link.hurry}. */
  hurry(): void {
    this.#link?.hurry();
  }

  /** Publishes to a Redis channel. */
  async publish(name: string, message: Argument): Promise<void> {
    await this.send(["SPUBLISH", this.prefix + name, message]);
  }

  /** Subscribes to a Redis channel. Once it settles, no later message is missed until the shard is lost. */
  async subscribe(name: string): Promise<void> {
    const losses = this.#losses;
    const link = this.#required();
    try {
      await link.subscribe([this.prefix + name], this.#listener);
    } catch (error) {
      this.#look(error);
      throw error;
    }
    if (losses !== this.#losses) {
      void link.unsubscribe(this.prefix + name);
      throw this.#unavailable();
    }
    this.#names.add(name);
  }

  /** Ends a subscription. */
  async unsubscribe(name: string): Promise<void> {
    this.#names.delete(name);
    await this.#link?.unsubscribe(this.prefix + name);
  }

  readonly #listener: Listener = {
    message: (name, message) => {
      const short = name.slice(this.prefix.length);
      for (const owner of this.#owners) this.#tell(() => owner.message(short, message));
    },
    moved: () => {
      this.#lose(); // Also while it subscribes again: what was subscribed to is lost.
      this.#restoreLater(0); // It fails until the new server is known.
      this.moved();
    },
  };

  #required(): Link {
    if (!this.#isUp) throw this.#unavailable();
    return this.#link!;
  }

  #unavailable(): PlugboardError {
    return new PlugboardError("unavailable", `Redis at ${this.server} is not reachable`);
  }

  /** Finds out whether the shard is on another server. */
  #look(error: unknown): void {
    const { cause } = error as Error;
    if (cause instanceof ErrorReply && /^(MOVED|ASK|CLUSTERDOWN)/.test(cause.message)) this.moved();
  }

  #lose(): void {
    this.#endRetry();
    this.#losses++;
    if (!this.#isUp) return;
    this.#isUp = false;
    for (const owner of this.#owners) this.#tell(() => owner.down());
  }

  /** Subscribes again. */
  async #restore(failures: number): Promise<void> {
    const link = this.#link;
    const losses = ++this.#losses;
    const names = [...this.#names];
    try {
      if (!link?.isUp) return;
      for (let i = 0; i < names.length; i += NAMES_AT_ONCE) {
        const some = names.slice(i, i + NAMES_AT_ONCE).map((name) => this.prefix + name);
        await link.subscribe(some, this.#listener);
        if (losses !== this.#losses) return;
      }
    } catch (error) {
      if (losses !== this.#losses) return;
      this.#restoreLater(failures + 1);
      this.#look(error);
      throw error;
    }
    this.#isUp = true;
    for (const name of names) if (!this.#names.has(name)) void this.unsubscribe(name);
    if (this.#wasUp) { for (const owner of this.#owners) this.#tell(() => owner.back()); }
    this.#wasUp = true;
  }

  #restoreLater(failures: number): void {
    const retry = () => void this.#restore(failures).catch(() => {});
    const timer = setTimeout(retry, backoffMs(failures, RETRY_MS, MAX_RETRY_MS));
    this.#endRetry = () => clearTimeout(timer);
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#log?.error("an event of Redis was not handled", { error: messageOf(error) });
    }
  }
}
