/**
 * The engine: owns the instances and keeps them up to date. Everything flows in one direction:
 *
 *     commit ──→ committed()   the WakeIndex finds the instances that the changed rows can affect
 *            ──→ Scheduler     decides when each of them runs
 *            ──→ #run()        reads the rows; the Result compares them with the previous ones
 *            ──→ LiveBroker    sends the diff to the subscribers
 *
 * @module
 */

import { type Clock, type Log, type MaybePromise, messageOf, PlugboardError } from "../../core/mod.ts";
import type { UnsubscribeCode } from "../channels.ts";
import type { Changes, Watch } from "../persistence.ts";
import type { Counter, Histogram } from "../shared/metrics.ts";
import { causeOf } from "./activity.ts";
import { LiveBroker } from "./broker.ts";
import { isTimeout, QueryCatalog, type Request, tooSlow } from "./catalog.ts";
import type { AnyQuery } from "./definition.ts";
import { END_CODES, type Ending, Instance, type Query } from "./query.ts";
import { Result, type Row } from "./result.ts";
import { type Run, Scheduler } from "./scheduler.ts";
import type { Source } from "./source.ts";
import { valueOf } from "./values.ts";
import { WakeIndex } from "./wake_index.ts";

/** Options of a {@linkcode LiveQueryEngine}. */
export interface EngineOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: Readonly<Record<"maxMs" | "maxInstances" | "lingerMs" | "burstMs", number>>;
  readonly metrics:
    | { readonly wakes: Counter; readonly diffs: Counter; readonly runs: Histogram }
    | undefined;
  /** Where declared queries run. */
  readonly source: Source;
  /** Selects the tables whose changes the store reports. */
  readonly watch: Pick<Watch, "add" | "delete"> | undefined;
  /** Ends all subscriptions of a channel. */
  readonly closeChannel: (channel: string, why: UnsubscribeCode) => void;
}

/** How often a subscription begins again after changes of the schema. */
const MAX_ATTEMPTS = 10;

/** Keeps instances up to date. */
export class LiveQueryEngine {
  readonly catalog: QueryCatalog;
  readonly broker: LiveBroker;
  readonly #options: EngineOptions;
  readonly #instances = new Map<string, Instance>();
  readonly #index: WakeIndex<Instance>;
  readonly #scheduler: Scheduler<Instance>;
  /** The runs that each commit has caused. */
  readonly #runsAfter = new WeakMap<object, ReadonlyMap<Instance, Run>>();
  readonly #refreshes = new Map<Query, () => void>();

  constructor(options: EngineOptions) {
    this.#options = options;
    const { source, clock, limits, watch } = options;
    const { maxMs, burstMs, lingerMs } = limits;
    this.catalog = new QueryCatalog(source, clock, maxMs);
    const unused: Ending = { why: "renewed", reason: "No subscribers" };
    this.broker = new LiveBroker({ clock, lingerMs, expired: (idle) => this.#drop(idle, unused) });
    // A table that no query reads is not watched, so that writes to it cost nothing more.
    this.#index = new WakeIndex((table, watched) => watched ? watch?.add(table) : watch?.delete(table));
    this.#scheduler = new Scheduler({ clock, burstMs, run: (instance) => this.#run(instance) });
  }

  get size(): number {
    return this.#instances.size;
  }

  /** Adds a declared query. Returns the function that removes it. */
  declare(name: string, definition: AnyQuery): () => void {
    const query = this.catalog.declare(name, definition);
    const { refreshMs } = definition;
    if (refreshMs !== undefined) {
      const refresh = () => query.instances.forEach((instance) => this.#scheduler.wake(instance));
      this.#refreshes.set(query, this.#options.clock.every(refreshMs, refresh));
    }
    return () => {
      this.#refreshes.get(query)?.();
      this.#refreshes.delete(query);
      this.catalog.remove(query);
      for (const instance of query.instances) this.#end(instance, "The query was removed", "removed");
    };
  }

  /** Returns the instance for a channel, which is started if it is new. Its result is up to date. */
  open(channel: string, { query, id, params }: Request): Instance {
    try {
      this.catalog.checkSpeed(query);
      const instance = this.#instances.get(id) ?? this.#start(query, id, params);
      this.broker.attach(channel, instance);
      this.#scheduler.settle(instance);
      return instance;
    } finally {
      this.catalog.release(query);
    }
  }

  /** Does the same for a query of an isolated source. */
  async openIsolated(channel: string, { query, id, params }: Request, user: string): Promise<Instance> {
    try {
      this.catalog.checkSpeed(query);
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        // The schema may change between the end of the planning and here.
        while (query.plan === undefined) await this.catalog.planIsolated(query, user);
        const instance = this.#instances.get(id) ?? this.#startIsolated(query, id, params, user);
        this.broker.attach(channel, instance);
        this.#scheduler.settle(instance);
        await this.#scheduler.pending(instance)?.ended;
        if (instance.ended === undefined) return instance;
        const { why, reason } = instance.ended;
        if (why === "postponed") throw new PlugboardError("overloaded", reason);
        if (why !== "renewed") throw new PlugboardError("not_available", reason);
      }
      throw new PlugboardError("overloaded", "The schema changes all the time; try again later");
    } finally {
      this.catalog.release(query);
    }
  }

  /** Replaces the rows of an instance whose database this server cannot read. */
  setRows(instance: Instance, rows: readonly Row[]): void {
    this.#publish(instance, Result.ofValues(rows));
  }

  /** Wakes the instances that a commit can affect. */
  committed(changes: Changes): void {
    const { tables, schema, outside, commit } = changes;
    if (schema) this.#planAgain();
    const runs = new Map<Instance, Run>();
    const affected = schema || outside ? this.#instances.values() : this.#index.find(tables);
    const cause = causeOf(changes, this.#options.clock.wallTime());
    for (const instance of affected) {
      runs.set(instance, this.#scheduler.wake(instance));
      instance.woken(cause);
    }
    if (runs.size === 0) return;
    this.#runsAfter.set(commit, runs);
    this.#options.metrics?.wakes.add(runs.size);
  }

  /** Runs all woken instances now. */
  settle(): void {
    this.#scheduler.settleAll();
  }

  /**
   * Starts the pending runs. Resolves when the diffs for these channels are sent: all of them, or those that one commit
   * has caused.
   */
  async settled(channels: Iterable<string>, commit: object | undefined): Promise<void> {
    this.#scheduler.hasten();
    const runs = commit && this.#runsAfter.get(commit);
    const pending = Array.from(channels, (channel) => {
      const instance = this.broker.find(channel);
      if (instance === undefined) return;
      return (commit === undefined ? this.#scheduler.pending(instance) : runs?.get(instance))?.ended;
    });
    await Promise.all(pending);
  }

  stop(): void {
    this.#scheduler.stop();
    this.broker.stop();
    this.catalog.stop();
    for (const cancel of this.#refreshes.values()) cancel();
  }

  #start(query: Query, id: string, params: Request["params"]): Instance {
    const { source, plan } = this.catalog.plan(query);
    const startedAt = performance.now();
    const rows = source.read(query.definition.sql, params, plan);
    const tookMs = performance.now() - startedAt;
    const { maxMs } = this.#options.limits;
    if (tookMs > maxMs) {
      this.catalog.coolDown(query);
      throw tooSlow(maxMs);
    }
    const instance = this.#add(new Instance(id, query, params, Result.of(rows, plan.key)));
    this.#noteCost(instance, tookMs);
    return instance;
  }

  #startIsolated(query: Query, id: string, params: Request["params"], user: string): Instance {
    const instance = this.#add(new Instance(id, query, params, Result.of([], null), user));
    this.#scheduler.wake(instance); // it is in the index already, so it misses no commit
    return instance;
  }

  #add(instance: Instance): Instance {
    const { maxInstances } = this.#options.limits;
    if (this.size >= maxInstances) {
      throw new PlugboardError("limit_exceeded", `More than ${maxInstances} live queries`);
    }
    this.#instances.set(instance.id, instance);
    instance.query.instances.add(instance);
    this.#updateIndex(instance);
    return instance;
  }

  #updateIndex(instance: Instance): void {
    const { dependencies } = instance.query.plan!;
    this.#index.set(instance, dependencies, (param) => valueOf(instance.params, param));
  }

  #planAgain(): void {
    this.catalog.forgetPlans();
    for (const instance of [...this.#instances.values()]) {
      const { query } = instance;
      if (query.source.isolated) {
        this.#end(instance, "The schema has changed", "renewed");
        continue;
      }
      try {
        this.catalog.plan(query);
        this.#updateIndex(instance);
      } catch (error) {
        this.#end(instance, messageOf(error), "failed");
      }
    }
  }

  #run(instance: Instance): MaybePromise<void> {
    const { query: { source, definition, plan }, params } = instance;
    const startedAt = performance.now();
    const succeeded = (rows: readonly Row[]) => this.#ran(instance, rows, performance.now() - startedAt);
    const failed = (error: unknown) => this.#failed(instance, error);
    if (source.isolated) {
      // Nobody waits for a later run, so it waits for others instead of being refused.
      const how = { user: instance.user, patient: instance.hasRun };
      return source.read(definition.sql, params, plan!, how).then(succeeded).catch(failed);
    }
    try {
      succeeded(source.read(definition.sql, params, plan!, instance.size));
    } catch (error) {
      failed(error);
    }
  }

  #ran(instance: Instance, rows: readonly Row[], tookMs: number): void {
    if (instance.ended !== undefined) return;
    const { query } = instance;
    this.#noteCost(instance, tookMs);
    this.#publish(instance, Result.of(rows, query.plan!.key));
    const { maxMs } = this.#options.limits;
    // A slow run blocks the whole server. (An isolated one does not, and is stopped by its source.)
    if (query.source.isolated || tookMs <= maxMs) return;
    this.catalog.coolDown(query);
    this.#end(instance, tooSlow(maxMs).message, "failed");
  }

  #failed(instance: Instance, error: unknown): void {
    if (instance.ended !== undefined) return;
    if (isTimeout(error)) this.catalog.coolDown(instance.query);
    const code = error instanceof PlugboardError ? error.code : undefined;
    // A process that ends may have had bad luck, but not where it already ended at the first run.
    const passes = code === "overloaded" || (code === "query_failed" && instance.hasRun);
    this.#end(instance, messageOf(error), passes ? "postponed" : "failed");
  }

  #noteCost(instance: Instance, tookMs: number): void {
    instance.ran(tookMs, this.#options.clock.monotonicTime());
    this.#options.metrics?.runs.observe(tookMs / 1000);
  }

  #publish(instance: Instance, result: Result): void {
    const diff = instance.update(result, this.#options.clock.wallTime());
    this.broker.resized(instance);
    if (diff === undefined) return;
    this.#options.metrics?.diffs.add(1);
    this.broker.send(diff, instance);
  }

  /** Ends an instance and its subscriptions. */
  #end(instance: Instance, reason: string, why: Ending["why"]): void {
    const { id, query: { definition: { sql } }, channels, onEnd = [] } = instance;
    if (why === "failed") this.#options.log.warn("a live query was ended", { query: id, sql, reason });
    this.#drop(instance, { why, reason });
    for (const ended of [...onEnd]) ended(reason);
    for (const channel of channels) this.#options.closeChannel(channel, { code: END_CODES[why], reason });
  }

  #drop(instance: Instance, ending: Ending): void {
    const { id, query } = instance;
    instance.ended = ending;
    this.#instances.delete(id);
    query.instances.delete(instance);
    this.#index.delete(instance);
    this.#scheduler.cancel(instance);
    this.broker.detach(instance);
    this.catalog.release(query);
  }
}
