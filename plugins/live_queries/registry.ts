/**
 * The registry: which queries there are, and which of their instances are alive.
 *
 * @module
 */

import { type Clock, type Log, type MaybePromise, messageOf, PlugboardError } from "../../core/mod.ts";
import type { Changes, TableChange, Watch } from "../persistence.ts";
import type { Identity } from "../shared/identity.ts";
import type { Counter, Histogram } from "../shared/metrics.ts";
import type { LiveBroker } from "./broker.ts";
import { Instance } from "./instance.ts";
import { channelOf, LIVE, parseParams, splitChannel } from "./params.ts";
import { Query, type QueryDefinition, type RemoteSource, type Source } from "./query.ts";
import { Result, type Row } from "./result.ts";
import { Scheduler } from "./scheduler.ts";
import { type Arguments, valueOf } from "./values.ts";
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

/** What the registry works with. */
export interface RegistryOptions {
  /** Where declared queries are run. */
  readonly source: Source;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: QueryLimits;
  readonly metrics: QueryMetrics | undefined;
  readonly broker: LiveBroker;
  /** Has changes of a table told from now on, or no longer. */
  readonly watch: Pick<Watch, "add" | "delete"> | undefined;
  /** Ends the subscriptions of a channel; if it is `renewed`, whoever comes back at once gets a new one. */
  readonly close: (channel: string, why: "failed" | "renewed", reason: string) => void;
}

/** Free SQL that somebody subscribes to. */
export interface FreeQuery {
  /** The same for any parameters. */
  readonly name: string;
  /** The same for any way to write it. */
  readonly id: string;
  readonly channel: string;
  readonly sql: string;
  readonly params: Arguments;
}

/** A query that was too slow is refused for so long. */
const COOL_DOWN_MS = 60_000;

/** All queries and their living instances. */
export class QueryRegistry {
  readonly #options: RegistryOptions;
  readonly #queries = new Map<string, Query>();
  readonly #instances = new Map<string, Instance>();
  readonly #byChannel = new Map<string, Instance>();
  readonly #index: WakeIndex<Instance>;
  readonly #scheduler: Scheduler;
  readonly #lingering = new Map<Instance, () => void>();
  readonly #refreshes = new Map<Query, () => void>();
  /** The names of queries that were too slow, for a while. */
  readonly #cooling = new Map<string, () => void>();
  /** Counts the schemas there were. */
  #schema = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
    const { clock, limits, watch } = options;
    const run = (instance: Instance) => this.#run(instance);
    this.#scheduler = new Scheduler({ clock, burstMs: limits.burstMs, run });
    // Nobody watches a table that no query reads: a write to it costs nothing more than without live queries.
    this.#index = new WakeIndex((table, watched) => watched ? watch?.add(table) : watch?.delete(table));
  }

  get size(): number {
    return this.#instances.size;
  }

  /** Adds a query; a wrong one is refused at once. */
  declare(name: string, definition: QueryDefinition): void {
    const { source, clock } = this.#options;
    const query = new Query(name, definition, source, true);
    query.plan = source.plan(definition);
    const { refreshMs } = definition;
    if (refreshMs !== undefined) {
      this.#refreshes.set(query, clock.every(refreshMs, () => this.#scheduler.wake(query.instances)));
    }
    this.#queries.set(name, query);
  }

  /** Removes a query and ends its instances. */
  undeclare(name: string): void {
    const query = this.#queries.get(name);
    if (query === undefined) return;
    this.#refreshes.get(query)?.();
    this.#refreshes.delete(query);
    this.#queries.delete(name);
    for (const instance of query.instances) this.#end(instance, "The query was removed");
  }

  /** The instance of a channel, if it is alive. */
  find(channel: string): Instance | undefined {
    return this.#byChannel.get(channel);
  }

  /** The instance of a declared query's channel, started if need be. Without an identity it is the server that asks. */
  open(channel: string, identity: Identity | undefined): Instance {
    const { name, text } = splitChannel(channel);
    const query = this.#queries.get(name);
    if (query?.declared !== true) throw denied();
    const { definition } = query;
    const params = parseParams(text, definition.params ?? {}, identity);
    const allowed = identity === undefined ||
      (definition.allow?.(identity, params) ?? identity.can("read", `${LIVE}${name}`));
    if (!allowed) throw denied();
    return this.#open(query, channel, channelOf(name, params), params);
  }

  /** Opens free SQL of the server's own. Its name is the same for any parameters, its channel is also its id. */
  openOwn(
    name: string,
    channel: string,
    sql: string,
    params: Arguments,
    source = this.#options.source,
  ): Instance {
    return this.#open(this.#free(name, sql, source), channel, channel, params);
  }

  /** Opens free SQL of somebody else's, in another process. */
  async openRemote(free: FreeQuery, source: RemoteSource): Promise<Instance> {
    const { name, id, channel, sql, params } = free;
    this.#checkCool(name);
    const query = this.#free(name, sql, source);
    try {
      while (query.plan === undefined) {
        const schema = this.#schema;
        const plan = await source.plan(query.definition);
        if (schema === this.#schema) query.plan = plan; // else it may be about tables that are gone
      }
      let instance = this.#instances.get(id);
      if (instance === undefined) {
        // It depends on its tables from now on and runs after that, so it misses nothing.
        instance = this.#keep(new Instance(id, query, params, Result.of([], null)));
        this.#scheduler.wake([instance]);
      }
      this.#hear(channel, instance);
      await this.#scheduler.ran(instance);
      if (instance.ended !== undefined) throw new PlugboardError("not_available", instance.ended);
      return instance;
    } finally {
      this.#dropUnused(query);
    }
  }

  /** The query of an SQL text that was not declared. */
  own(name: string): Query | undefined {
    const query = this.#queries.get(name);
    return query?.declared === false ? query : undefined;
  }

  /** Gives an instance a result that was read elsewhere. */
  put(instance: Instance, rows: readonly Row[]): void {
    this.#publish(instance, Result.of(rows, null));
  }

  /** Somebody listens to a channel. */
  heard(channel: string, instance: Instance): void {
    instance.channels.add(channel);
    this.#lingering.get(instance)?.();
    this.#lingering.delete(instance);
  }

  /** Nobody listens to a channel any more. */
  left(channel: string, instance: Instance): void {
    instance.channels.delete(channel);
    this.#byChannel.delete(channel);
    if (instance.channels.size === 0) this.#linger(instance);
  }

  /** Takes in what a commit did. */
  committed({ tables, schema, outside }: Changes): void {
    const woken = new Set<Instance>();
    for (const [table, change] of tables) {
      if (change.rows !== undefined) this.#index.find(table, changesIn(change.rows), woken);
      else for (const instance of this.#index.findAll(table)) woken.add(instance);
    }
    if (schema) this.#planAnew();
    if (schema || outside) { for (const instance of this.#instances.values()) woken.add(instance); }
    if (woken.size === 0) return;
    this.#options.metrics?.wakes.add(woken.size);
    this.#scheduler.wake(woken);
  }

  /** Runs now whatever was woken: when it returns, all diffs are on their way. */
  settle(): void {
    this.#scheduler.settleAll();
  }

  /** Hastens whatever was woken; resolves when of these channels all diffs are on their way. */
  async settled(channels: Iterable<string>): Promise<void> {
    this.#scheduler.hasten();
    for (const channel of channels) {
      const instance = this.find(channel);
      if (instance !== undefined) await this.#scheduler.ran(instance);
    }
  }

  stop(): void {
    this.#scheduler.stop();
    for (const timers of [this.#refreshes, this.#cooling, this.#lingering]) {
      for (const cancel of timers.values()) cancel();
    }
  }

  #checkCool(name: string): void {
    if (this.#cooling.has(name)) throw this.#tooSlow();
  }

  #tooSlow(): PlugboardError {
    return new PlugboardError(
      "not_available",
      `The query takes longer than ${this.#options.limits.maxMs} ms`,
    );
  }

  #free(name: string, sql: string, source: Query["source"]): Query {
    const query = this.own(name) ?? new Query(name, { sql }, source, false);
    this.#queries.set(name, query);
    return query;
  }

  #open(query: Query, channel: string, id: string, params: Arguments): Instance {
    this.#checkCool(query.name);
    try {
      const instance = this.#instances.get(id) ?? this.#start(query, id, params);
      this.#hear(channel, instance);
      return instance;
    } finally {
      this.#dropUnused(query);
    }
  }

  #hear(channel: string, instance: Instance): void {
    this.#byChannel.set(channel, instance);
    if (this.#options.broker.hears(channel)) this.heard(channel, instance);
    else if (instance.channels.size === 0) this.#linger(instance);
    this.#scheduler.settle(instance); // a newcomer gets what is written, not what was last read
  }

  #start(query: Query, id: string, params: Arguments): Instance {
    const { source, definition } = query;
    if (source.remote) throw denied();
    query.plan ??= source.plan(definition);
    const begun = performance.now();
    const rows = source.read(definition.sql, params, query.plan);
    const tookMs = performance.now() - begun;
    if (tookMs > this.#options.limits.maxMs) {
      this.#cool(query.name);
      throw this.#tooSlow();
    }
    const instance = new Instance(id, query, params, Result.of(rows, query.plan.key));
    return this.#keep(this.#ranIn(instance, tookMs));
  }

  #ranIn(instance: Instance, tookMs: number): Instance {
    instance.tookMs = tookMs;
    instance.ranAt = this.#options.clock.now();
    this.#options.metrics?.runs.observe(tookMs / 1000);
    return instance;
  }

  #keep(instance: Instance): Instance {
    const { maxInstances } = this.#options.limits;
    if (this.#instances.size >= maxInstances) {
      throw new PlugboardError("limit_exceeded", `More than ${maxInstances} live queries`);
    }
    const { query } = instance;
    this.#instances.set(instance.id, instance);
    this.#queries.set(query.name, query);
    query.instances.add(instance);
    this.#depend(instance);
    return instance;
  }

  #depend(instance: Instance): void {
    const { dependencies } = instance.query.plan!;
    this.#index.add(instance, dependencies, (param) => valueOf(instance.params, param));
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
    this.#ranIn(instance, tookMs);
    this.#publish(instance, Result.of(rows, instance.query.plan!.key));
    const { source, name } = instance.query;
    // Whatever else the server does would wait for it. (One that runs elsewhere is ended there.)
    if (source.remote || tookMs <= this.#options.limits.maxMs) return;
    this.#cool(name);
    this.#end(instance, this.#tooSlow().message);
  }

  #failed(instance: Instance, error: unknown): void {
    if (error instanceof PlugboardError && error.code === "timeout") this.#cool(instance.query.name);
    this.#end(instance, messageOf(error));
  }

  #publish(instance: Instance, result: Result): void {
    const diff = instance.update(result, this.#options.clock.now());
    if (diff === undefined) return;
    this.#options.metrics?.diffs.add(1);
    this.#options.broker.diff(instance, diff);
  }

  /** Refuses a query for a while. */
  #cool(name: string): void {
    this.#cooling.get(name)?.();
    this.#cooling.set(name, this.#options.clock.after(COOL_DOWN_MS, () => this.#cooling.delete(name)));
  }

  /** Ends an instance, and tells whoever listens why. */
  #end(instance: Instance, reason: string, why: "failed" | "renewed" = "failed"): void {
    if (why === "failed") this.#options.log.warn("a live query was ended", { query: instance.id, reason });
    const channels = [...instance.channels];
    this.#drop(instance, reason);
    for (const channel of channels) this.#options.close(channel, why, reason);
  }

  #drop(instance: Instance, reason: string): void {
    instance.ended = reason;
    this.#instances.delete(instance.id);
    instance.query.instances.delete(instance);
    this.#dropUnused(instance.query);
    this.#index.delete(instance);
    this.#scheduler.forget(instance);
    this.#lingering.get(instance)?.();
    this.#lingering.delete(instance);
    for (const channel of [instance.id, ...instance.channels]) this.#byChannel.delete(channel);
  }

  /** Free SQL is forgotten with its last instance. */
  #dropUnused(query: Query): void {
    const unused = !query.declared && query.instances.size === 0;
    if (unused && this.#queries.get(query.name) === query) this.#queries.delete(query.name);
  }

  /** An instance without listeners stays for a while: who reconnects soon recovers. */
  #linger(instance: Instance): void {
    this.#lingering.get(instance)?.();
    const cancel = this.#options.clock.after(this.#options.limits.lingerMs, () => {
      this.#lingering.delete(instance);
      if (instance.channels.size === 0) this.#drop(instance, "Nobody listened to it");
    });
    this.#lingering.set(instance, cancel);
  }

  /** The schema is another: what queries read may be too. */
  #planAnew(): void {
    this.#schema++;
    for (const query of this.#queries.values()) query.plan = undefined;
    for (const instance of [...this.#instances.values()]) {
      const { query } = instance;
      try {
        if (query.source.remote) throw new PlugboardError("not_available", "The schema has changed");
        query.plan ??= query.source.plan(query.definition);
        this.#index.delete(instance);
        this.#depend(instance);
      } catch (error) {
        this.#end(instance, messageOf(error), query.source.remote ? "renewed" : "failed");
      }
    }
  }
}

function denied(): PlugboardError {
  return new PlugboardError("permission_denied", "Permission denied");
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
