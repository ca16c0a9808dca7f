/**
 * The occupancy in Redis: counts the nodes that have subscribers to a channel. The channels of a node that has died are
 * removed by one of the others.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { messageOf } from "../../core/mod.ts";
import type { Occupancy, OccupancyEvents } from "../webhooks.ts";
import type { Servers } from "./servers.ts";
import type { Shard } from "./shard.ts";

/** How often a node tells that it lives, and for how long it is then believed. */
const BEAT_MS = 1_000;
const TTL_MS = 5_000;
/** The maximum changes of a call. Redis does nothing else meanwhile. */
const MAX_CHANGES = 200;

/** A channel that this node has subscribers of, or had. */
interface Entry {
  occupied: boolean;
  /** What Redis knows. */
  told: boolean;
}

/** A call, which is repeated until it is answered. */
interface Call {
  readonly number: number;
  readonly changes: readonly string[];
  readonly restores: boolean;
  /** A node that has died, whose channels are removed. */
  readonly dead: string;
}

/** What Redis answers. Reports are `+channel` or `-channel`, and confirmed by the next call. */
interface CallAnswer {
  readonly token: string;
  readonly state: string;
  readonly reports: readonly string[];
  readonly dead: string;
}

/** Creates the occupancy. */
export function redisOccupancy(servers: Servers): Occupancy {
  let counters = new Map<Shard, Counter>();
  return {
    start(events) {
      counters = new Map(servers.shards.map((shard) => [shard, new Counter(shard, events)]));
    },
    set: (channel, occupied) => counters.get(servers.of(channel))?.set(channel, occupied),
    async stop() {
      await Promise.all(Array.from(counters.values(), (counter) => counter.stop()));
    },
  };
}

/** Counts on one shard. */
class Counter {
  readonly #shard: Shard;
  readonly #events: OccupancyEvents;
  readonly #entries = new Map<string, Entry>();
  readonly #changed = new Set<string>();
  /** The channels that Redis has lost. */
  #lost: string[] = [];
  /** This node, until it is taken for dead or the server loses its data. */
  #node = crypto.randomUUID();
  #joined = false;
  #token = "";
  #calls = 0;
  #call: Call | undefined;
  #dead = "";
  #running: Promise<void> | undefined;
  #scheduled = false;
  #problem: string | undefined;
  #stopping = false;
  /** The other nodes tell that they live, or restore what was lost, before their channels are removed. */
  #quietTill = performance.now() + TTL_MS;
  #restoring = false;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(shard: Shard, events: OccupancyEvents) {
    this.#shard = shard;
    this.#events = events;
    const wait = () => void (this.#quietTill = performance.now() + TTL_MS);
    shard.own({ message() {}, down: wait, back: wait });
    // The network has the system's time, also where a test has another one.
    this.#timer = setInterval(() => void this.#run(), BEAT_MS);
    void this.#run();
  }

  set(channel: string, occupied: boolean): void {
    const entry = this.#entries.get(channel) ?? { occupied, told: false };
    entry.occupied = occupied;
    this.#entries.set(channel, entry);
    this.#changed.add(channel);
    if (this.#scheduled || this.#running !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => void this.#run()); // The changes of one turn of the event loop share a call.
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
    await this.#run();
    this.#stopping = true;
    await this.#run();
  }

  /** Calls until everything is reported and confirmed. */
  #run(): Promise<void> {
    this.#scheduled = false;
    return this.#running ??= this.#tellAll().finally(() => this.#running = undefined);
  }

  async #tellAll(): Promise<void> {
    let unconfirmed = 0;
    try {
      do {
        this.#call ??= this.#next();
        const call = this.#call;
        const { token, state, reports, dead } = await this.#send(call);
        this.#call = undefined;
        this.#dead = dead;
        unconfirmed = reports.length;
        if (state === "counted") this.#counted(call, token);
        else this.#begin(state === "lost", token);
        for (const report of reports) this.#report(report);
      } while (!this.#stopping && (unconfirmed > 0 || this.#hasMore));
      this.#problem = undefined;
    } catch (error) {
      const message = messageOf(error);
      if (message !== this.#problem) {
        this.#events.log.warn("occupied and vacated channels are reported later", { error: message });
      }
      this.#problem = message;
    }
  }

  #report(change: string): void {
    const channel = change.slice(1);
    if (change.startsWith("+")) this.#events.occupied(channel);
    else this.#events.vacated(channel);
  }

  /**
   * Whether changes of this kind may be told. While others restore what was lost, a channel may seem to have no subscribers. What
   * is occupied is reported earlier than what is not: another node may have a subscriber that Redis has not heard of yet.
   */
  #may(occupied: boolean): boolean {
    const left = this.#quietTill - performance.now();
    if (left <= 0) this.#restoring = false;
    return !this.#restoring || occupied && left < TTL_MS / 2;
  }

  /** Whether something can be told now. */
  get #hasMore(): boolean {
    if (this.#lost.length > 0 || this.#dead !== "") return true;
    return this.#changed.values().some((channel) => this.#may(this.#entries.get(channel)!.occupied));
  }

  /** Decides what is reported next. */
  #next(): Call {
    const number = ++this.#calls;
    const dead = this.#dead;
    if (this.#lost.length > 0) {
      const changes = this.#lost.splice(0, MAX_CHANGES).map((channel) => `+${channel}`);
      return { number, changes, restores: true, dead };
    }
    const changes: string[] = [];
    for (const channel of this.#changed) {
      if (changes.length === MAX_CHANGES) break;
      const { occupied, told } = this.#entries.get(channel)!;
      if (!this.#may(occupied)) continue;
      this.#changed.delete(channel);
      if (occupied !== told) changes.push(`${occupied ? "+" : "-"}${channel}`);
      else if (!occupied) this.#entries.delete(channel);
    }
    return { number, changes, restores: false, dead };
  }

  async #send({ number, changes, restores, dead }: Call): Promise<CallAnswer> {
    const { run, continues } = this.#shard.generation;
    const looks = performance.now() >= this.#quietTill;
    const keys = ["nodes", "counts", "epoch", "dead", "reporters", "reports"];
    keys.push(`by:${this.#node}`, `by:${dead}`);
    const flag = (isSet: boolean) => isSet ? "1" : "0";
    const answer = await this.#shard.run("occupancy", keys.map((key) => `occupied:${key}`), [
      ...[this.#node, `${TTL_MS}`, run, flag(continues), crypto.randomUUID(), this.#token],
      ...[flag(this.#joined), `${number}`, restores ? "vacated" : "all", flag(looks), flag(this.#stopping)],
      ...[dead, `${MAX_CHANGES}`, ...changes],
    ]) as [Buffer, Buffer, Buffer[], Buffer];
    const [token, state, reports, next] = answer;
    return { token: `${token}`, state: `${state}`, reports: reports.map(String), dead: `${next}` };
  }

  #counted({ changes, restores }: Call, token: string): void {
    this.#token = token;
    this.#joined = true;
    for (const change of restores ? [] : changes) {
      const channel = change.slice(1);
      const entry = this.#entries.get(channel)!;
      entry.told = change.startsWith("+");
      if (entry.told !== entry.occupied) this.#changed.add(channel);
      else if (!entry.told) this.#entries.delete(channel);
    }
  }

  /** Begins again as another node, since what Redis knows about this one is not certain. */
  #begin(isLost: boolean, token: string): void {
    this.#node = crypto.randomUUID();
    this.#joined = false;
    this.#token = token;
    this.#lost = [];
    this.#restoring = isLost;
    if (isLost) this.#quietTill = performance.now() + TTL_MS;
    for (const [channel, entry] of this.#entries) {
      // Who removed this node has told that its channels are vacated.
      if (!isLost) entry.told = false;
      if (entry.told) this.#lost.push(channel);
      if (!entry.told || !entry.occupied) this.#changed.add(channel);
    }
  }
}
