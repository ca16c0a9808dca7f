/**
 * The living instances: they wake when something is written, run, publish what has changed, and go when nobody listens
 * any more.
 *
 * @module
 */

import { type Clock, type Log, type MaybePromise, messageOf, PlugboardError } from "../../core/mod.ts";
import type { Changes, TableChange, Watch } from "../persistence.ts";
import type { Counter, Histogram } from "../shared/metrics.ts";
import type { LiveBroker } from "./broker.ts";
import type { Instance } from "./instance.ts";
import type { Query } from "./query.ts";
import { Result, type Row } from "./result.ts";
import { Scheduler } from "./scheduler.ts";
import { valueOf } from "./values.ts";
import { type Change, WakeIndex } from "./wakes.ts";

/** Bounds of every query. */
export interface QueryLimits {
  readonly maxMs: number;
  readonly maxInstances: number;
  readonly lingerMs: number;
  readonly burstMs: number;
}

/** What is counted. */
export interface QueryMetrics {
  readonly wakes: Counter;
  readonly diffs: Counter;
  readonly runs: Histogram;
}

/** Why an instance ends: by its fault, by a new schema, or because its query was taken away. */
export type Ending = "failed" | "renewed" | "removed";

/** What instances live with. */
export interface InstancesOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: QueryLimits;
  readonly metrics: QueryMetrics | undefined;
  readonly broker: LiveBroker;
  /** Has changes of a table told from now on, or no longer. */
  readonly watch: Pick<Watch, "add" | "delete"> | undefined;
  /** Ends the subscriptions of a channel; if it is `renewed`, whoever comes back at once gets a new instance. */
  readonly close: (channel: string, why: Ending, reason: string) => void;
}

/** What the registry wants to hear of instances. */
export interface InstanceEvents {
  /** A query took longer than it may. */
  slow(query: Query): void;
  /** A query has lost an instance. */
  lost(query: Query): void;
}

/** All living instances. */
export class Instances {
  readonly #options: InstancesOptions;
  readonly #events: InstanceEvents;
  readonly #byId = new Map<string, Instance>();
  readonly #byChannel = new Map<string, Instance>();
  readonly #index: WakeIndex<Instance>;
  readonly #scheduler: Scheduler;
  readonly #lingering = new Map<Instance, () => void>();

  constructor(options: InstancesOptions, events: InstanceEvents) {
    this.#options = options;
    this.#events = events;
    const { clock, limits, watch } = options;
    const run = (instance: Instance) => this.#run(instance);
    this.#scheduler = new Scheduler({ clock, burstMs: limits.burstMs, run });
    // Nobody watches a table that no query reads: a write to it costs nothing more than without live queries.
    this.#index = new WakeIndex((table, watched) => watched ? watch?.add(table) : watch?.delete(table));
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Instance | undefined {
    return this.#byId.get(id);
  }

  /** The instance of a channel. */
  find(channel: string): Instance | undefined {
    return this.#byChannel.get(channel);
  }

  [Symbol.iterator](): IterableIterator<Instance> {
    return this.#byId.values();
  }

  /** Adds one that has run; without a time, one that is to run for the first time. */
  add(instance: Instance, tookMs?: number): Instance {
    const { maxInstances } = this.#options.limits;
    if (this.#byId.size >= maxInstances) {
      throw new PlugboardError("limit_exceeded", `More than ${maxInstances} live queries`);
    }
    this.#byId.set(instance.id, instance);
    instance.query.instances.add(instance);
    this.depend(instance);
    // It depends on its tables before it runs, so it misses nothing.
    if (tookMs === undefined) this.#scheduler.wake([instance]);
    else this.#ranIn(instance, tookMs);
    return instance;
  }

  /** Has it wake by what its query's plan says. */
  depend(instance: Instance): void {
    this.#index.delete(instance);
    const { dependencies } = instance.query.plan!;
    this.#index.add(instance, dependencies, (param) => valueOf(instance.params, param));
  }

  /** Somebody asks for an instance by a channel. */
  open(channel: string, instance: Instance): void {
    this.#byChannel.set(channel, instance);
    instance.channels.add(channel);
    this.#lingerUnlessHeard(instance);
    this.#scheduler.settle(instance); // a newcomer gets what is written, not what was last read
  }

  /** Somebody listens to an instance: it stays. */
  heard(instance: Instance): void {
    this.#lingering.get(instance)?.();
    this.#lingering.delete(instance);
  }

  /** Nobody listens to a channel any more. */
  left(channel: string, instance: Instance): void {
    instance.channels.delete(channel);
    this.#byChannel.delete(channel);
    this.#lingerUnlessHeard(instance);
  }

  /** Takes in what a commit did. */
  committed({ tables, schema, outside }: Changes): void {
    const woken = new Set<Instance>();
    for (const [table, change] of tables) {
      if (change.rows !== undefined) this.#index.find(table, changesIn(change.rows), woken);
      else for (const instance of this.#index.findAll(table)) woken.add(instance);
    }
    if (schema || outside) { for (const instance of this) woken.add(instance); }
    if (woken.size === 0) return;
    this.#options.metrics?.wakes.add(woken.size);
    this.#scheduler.wake(woken);
  }

  /** Has instances run again, whatever was written. */
  wake(instances: Iterable<Instance>): void {
    this.#scheduler.wake(instances);
  }

  /** Runs now whatever was woken: when it returns, all diffs are on their way. */
  settle(): void {
    this.#scheduler.settleAll();
  }

  /** Begins to run whatever was woken. */
  hasten(): void {
    this.#scheduler.hasten();
  }

  /** Resolves when an instance has run, if it is to run. */
  ran(instance: Instance): Promise<void> {
    return this.#scheduler.ran(instance);
  }

  /** Gives an instance another result. */
  publish(instance: Instance, result: Result): void {
    const diff = instance.update(result, this.#options.clock.now());
    if (diff === undefined) return;
    this.#options.metrics?.diffs.add(1);
    this.#options.broker.diff(instance, diff);
  }

  /** Ends an instance, and tells whoever listens why. */
  end(instance: Instance, reason: string, why: Ending = "failed"): void {
    const { id, query: { definition: { sql } } } = instance;
    if (why === "failed") this.#options.log.warn("a live query was ended", { query: id, sql, reason });
    const channels = [...instance.channels];
    this.#drop(instance, reason);
    for (const channel of channels) this.#options.close(channel, why, reason);
  }

  stop(): void {
    this.#scheduler.stop();
    for (const cancel of this.#lingering.values()) cancel();
  }

  #run(instance: Instance): MaybePromise<void> {
    const { query: { source, definition, plan }, params } = instance;
    const begun = performance.now();
    const ran = (rows: readonly Row[]) => {
      if (instance.ended === undefined) this.#took(instance, rows, performance.now() - begun);
    };
    const failed = (error: unknown) => {
      if (instance.ended === undefined) this.#failed(instance, error);
    };
    if (source.remote) return source.read(definition.sql, params, plan!).then(ran).catch(failed);
    try {
      ran(source.read(definition.sql, params, plan!));
    } catch (error) {
      failed(error);
    }
  }

  #took(instance: Instance, rows: readonly Row[], tookMs: number): void {
    const { query } = instance;
    this.#ranIn(instance, tookMs);
    this.publish(instance, Result.of(rows, query.plan!.key));
    const { maxMs } = this.#options.limits;
    // Whatever else the server does would wait for it. (One that runs elsewhere is stopped there.)
    if (query.source.remote || tookMs <= maxMs) return;
    this.#events.slow(query);
    this.end(instance, tooSlow(maxMs).message);
  }

  #failed(instance: Instance, error: unknown): void {
    if (isTimeout(error)) this.#events.slow(instance.query);
    this.end(instance, messageOf(error));
  }

  #ranIn(instance: Instance, tookMs: number): void {
    instance.tookMs = tookMs;
    instance.ranAt = this.#options.clock.now();
    this.#options.metrics?.runs.observe(tookMs / 1000);
  }

  /** An instance without listeners stays for a while: who reconnects soon recovers. */
  #lingerUnlessHeard(instance: Instance): void {
    const { clock, limits, broker } = this.#options;
    this.heard(instance);
    for (const channel of instance.channels) if (broker.hears(channel)) return;
    const drop = () => this.#drop(instance, "Nobody listened to it");
    this.#lingering.set(instance, clock.after(limits.lingerMs, drop));
  }

  #drop(instance: Instance, reason: string): void {
    instance.ended = reason;
    this.#byId.delete(instance.id);
    instance.query.instances.delete(instance);
    this.#index.delete(instance);
    this.#scheduler.forget(instance);
    this.heard(instance);
    for (const channel of instance.channels) this.#byChannel.delete(channel);
    this.#events.lost(instance.query);
  }
}

/** What is told of a query that is too slow. */
export function tooSlow(maxMs: number): PlugboardError {
  return new PlugboardError("not_available", `The query takes longer than ${maxMs} ms`);
}

/** Whether a query was stopped for being too slow. */
export function isTimeout(error: unknown): boolean {
  return error instanceof PlugboardError && error.code === "timeout";
}

function* changesIn(rows: NonNullable<TableChange["rows"]>): Iterable<Change> {
  for (const row of rows) {
    yield {
      ...(row.type !== "insert" && { before: row.old }),
      ...(row.type !== "delete" && { after: row.new }),
      ...(row.type === "update" && { changed: row.changed }),
    };
  }
}
