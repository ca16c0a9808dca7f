/**
 * The topology of a Redis Cluster: which primary has which part. It is read each second, and at once when a server says that a
 * part is not there.
 *
 * @module
 */

import { type Log, messageOf } from "../../core/mod.ts";
import type { RedisAddress } from "./address.ts";
import { Link, type LinkLimits } from "./link.ts";
import { askOnce } from "./opening.ts";
import type { Shard } from "./shard.ts";
import { type Part, primariesFrom, type Primary, primaryOf } from "./slots.ts";

const LOOK_MS = 1_000;
/** The shortest time between two looks. */
const PAUSE_MS = 50;
/** The maximum number of primaries that are asked each time. One alone may be cut off, and wrong. */
const ASKED = 5;
/** How long the start waits for all parts. */
const START_MS = 5_000;

/** A part of the cluster, as the other files see it. */
export type PlacedPart = Part & { readonly shard: Shard };

/** See the module. */
export class Topology {
  readonly #parts: readonly PlacedPart[];
  readonly #seeds: readonly RedisAddress[];
  readonly #limits: LinkLimits;
  readonly #log: Log;
  /** By host and port. */
  readonly #links = new Map<string, Link>();
  readonly #life = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looking: Promise<void> | undefined;
  /** The latest problem that was reported. */
  #problem: string | undefined;
  /** Whether it has to look again soon. */
  #isUrgent = false;

  constructor(
    parts: readonly PlacedPart[],
    { seeds, limits, log }: {
      readonly seeds: readonly RedisAddress[];
      readonly limits: LinkLimits;
      readonly log: Log;
    },
  ) {
    this.#parts = parts;
    this.#seeds = seeds;
    this.#limits = limits;
    this.#log = log;
    for (const { shard } of parts) shard.moved = () => this.#lookSoon();
  }

  /** Waits until each part is on a server. */
  async start(): Promise<void> {
    const end = performance.now() + START_MS;
    const isUp = () => this.#parts.every(({ shard }) => shard.isUp);
    for (;;) {
      await this.#look();
      if (isUp()) return;
      if (this.#life.signal.aborted) throw new Error("It was closed");
      if (performance.now() > end) throw new Error("Redis Cluster: not each slot has a primary that answers");
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** Ends it, and closes all connections. */
  async stop(): Promise<void> {
    this.#life.abort();
    clearTimeout(this.#timer);
    await Promise.all(Array.from(this.#links.values(), (link) => link.close()));
    await this.#looking;
  }

  #lookSoon(): void {
    if (this.#isUrgent) return;
    this.#isUrgent = true;
    if (this.#looking === undefined) this.#lookAfter(PAUSE_MS);
  }

  #lookAfter(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#life.signal.aborted) return;
    // The network has the system's time, also where a test has another one.
    this.#timer = setTimeout(() => void this.#look(), ms);
  }

  /** Puts each part where it is now. */
  #look(): Promise<void> {
    this.#isUrgent = false;
    const look = async () => {
      try {
        const primaries = await this.#ask();
        if (!this.#life.signal.aborted && primaries.length > 0) await this.#place(primaries);
        this.#problem = undefined;
      } catch (error) {
        const message = messageOf(error);
        if (message !== this.#problem) {
          this.#log.warn("the primaries of the Redis Cluster are not known", { error: message });
        }
        this.#problem = message;
      }
    };
    return this.#looking ??= look().finally(() => {
      this.#looking = undefined;
      this.#lookAfter(this.#isUrgent ? PAUSE_MS : LOOK_MS);
    });
  }

  async #ask(): Promise<Primary[]> {
    const up = [...this.#links.values()].filter(({ isUp }) => isUp).sort(() => Math.random() - 0.5);
    const answers = await Promise.all(
      up.slice(0, ASKED).map(async (link) => {
        const answer = await link.send(["CLUSTER", "NODES"]).catch(() => "");
        return primariesFrom(String(answer), link.address.host);
      }),
    );
    if (answers.some((primaries) => primaries.length > 0)) return answers.flat();
    const unknown: Error[] = [];
    for (const seed of this.#seeds) {
      try {
        const patience = { ms: this.#limits.timeoutMs, signal: this.#life.signal };
        const answer = await askOnce(seed, ["CLUSTER", "NODES"], patience);
        return primariesFrom(String(answer), seed.host);
      } catch (error) {
        unknown.push(error as Error);
      }
    }
    throw unknown[0]!;
  }

  async #place(primaries: readonly Primary[]): Promise<void> {
    const placed = this.#parts.map(({ slot, shard }) => {
      const primary = primaryOf(slot, primaries);
      return shard.attach(primary && this.#linkTo(primary), this.#log).catch(() => {}); // It tries again.
    });
    const known = new Set(primaries.map(({ host, port }) => `${host}:${port}`));
    for (const [name, link] of this.#links) {
      if (known.has(name)) continue;
      this.#links.delete(name);
      void link.close();
    }
    await Promise.all(placed);
  }

  #linkTo({ host, port }: Primary): Link {
    const name = `${host}:${port}`;
    const known = this.#links.get(name);
    if (known !== undefined) return known;
    const link = new Link({ ...this.#seeds[0]!, host, port, name }, this.#limits, this.#log);
    this.#links.set(name, link);
    link.openLater();
    return link;
  }
}
