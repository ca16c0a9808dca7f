/**
 * The registry: which queries are declared, and which of their instances are alive.
 *
 * @module
 */

import { type Clock, type Log, messageOf, PlugboardError } from "../../core/mod.ts";
import type { Identity } from "../shared/identity.ts";
import type { Counter, Histogram } from "../shared/metrics.ts";
import type { LiveBroker } from "./broker.ts";
import { Instance } from "./instance.ts";
import { channelOf, LIVE, type ParamTypes, parseParams, splitChannel } from "./params.ts";
import { type Plan, planOf } from "./plan.ts";
import { Result, type Row } from "./result.ts";
import { Scheduler } from "./scheduler.ts";
import { type LiveStore, Schema } from "./schema.ts";
import type { Params } from "./values.ts";
import type { Changes, TableChange, Watch } from "../persistence.ts";
import { type Change, WakeIndex } from "./wakes.ts";

/** A query, as the server declares it. */
export interface QueryDefinition {
  /** A SELECT, with its parameters as `:name`. */
  sql: string;
  /** The parameters and their types. @default {none} */
  params?: ParamTypes;
  /** Who may see it. @default {whoever may read the channel `live:` and the query's name} */
  allow?: (identity: Identity, params: Params) => boolean;
  /** The columns that tell rows apart. @default {the primary key, where the query reads one table} */
  key?: readonly string[];
  /** Also runs at this interval, for queries that depend on the time. @default {never} */
  refreshMs?: number;
}

/** Bounds of every query. */
export interface QueryLimits {
  readonly maxRows: number;
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
  readonly store: LiveStore | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: QueryLimits;
  readonly metrics: QueryMetrics | undefined;
  readonly broker: LiveBroker;
  /** Ends the subscriptions of a channel. */
  readonly close: (channel: string, reason: string) => void;
}

/** A query that was too slow is refused for so long. */
const COOL_DOWN_MS = 60_000;

/** A declared query. */
interface Declared {
  readonly definition: QueryDefinition;
  plan: Plan | undefined;
  brokenUntil: number;
  endRefresh: (() => void) | undefined;
}

/** All declared queries and living instances. */
export class QueryRegistry {
  readonly #options: RegistryOptions;
  readonly #declared: Map<string, Declared>;
  readonly #instances = new Map<string, Instance>();
  readonly #byChannel = new Map<string, Instance>();
  readonly #index: WakeIndex<Instance>;
  readonly #schema: Schema | undefined;
  readonly #watch: Watch | undefined;
  readonly #scheduler: Scheduler;
  readonly #lingering = new Map<Instance, () => void>();

  constructor(options: RegistryOptions, definitions: ReadonlyMap<string, QueryDefinition>) {
    this.#options = options;
    this.#scheduler = new Scheduler({
      clock: options.clock,
      burstMs: options.limits.burstMs,
      run: (instance) => this.#run(instance),
    });
    const { store } = options;
    this.#schema = store === undefined ? undefined : new Schema(store);
    this.#watch = store?.watch((changes) => this.#committed(changes), []);
    // Nobody watches a table that no query reads: a write to it costs nothing more than without live queries.
    this.#index = new WakeIndex((table, watched) =>
      watched ? this.#watch?.add(table) : this.#watch?.delete(table)
    );
    this.#declared = new Map();
    for (const [name, definition] of definitions) this.declare(name, definition);
  }

  get size(): number {
    return this.#instances.size;
  }

  /** Adds a query; a wrong one is refused at once. */
  declare(name: string, definition: QueryDefinition): void {
    const declared: Declared = { definition, plan: undefined, brokenUntil: 0, endRefresh: undefined };
    this.#planOf(declared);
    const { refreshMs } = definition;
    if (refreshMs !== undefined) {
      declared.endRefresh = this.#options.clock.every(
        refreshMs,
        () => this.#scheduler.wake(this.#instancesOf(name)),
      );
    }
    this.#declared.set(name, declared);
  }

  /** Removes a query and ends its instances. */
  undeclare(name: string): void {
    this.#declared.get(name)?.endRefresh?.();
    this.#declared.delete(name);
    for (const instance of this.#instancesOf(name)) this.#end(instance, "The query was removed");
  }

  /** The instance of a channel, if it is alive. */
  find(channel: string): Instance | undefined {
    return this.#byChannel.get(channel);
  }

  /** The instance of a channel, started if need be. Without an identity it is the server that asks. */
  open(channel: string, identity: Identity | undefined): Instance {
    const { name, text } = splitChannel(channel);
    const declared = this.#declared.get(name);
    if (declared === undefined) throw new PlugboardError("permission_denied", "Permission denied");
    const { definition } = declared;
    const params = parseParams(text, definition.params ?? {}, identity);
    const allowed = identity === undefined ||
      (definition.allow?.(identity, params) ?? identity.can("read", `${LIVE}${name}`));
    if (!allowed) throw new PlugboardError("permission_denied", "Permission denied");
    if (declared.brokenUntil > this.#options.clock.now()) {
      throw new PlugboardError(
        "not_available",
        `The query takes longer than ${this.#options.limits.maxMs} ms`,
      );
    }
    const id = channelOf(name, params);
    const instance = this.#instances.get(id) ?? this.#start(id, this.#planOf(declared), params);
    this.#byChannel.set(channel, instance);
    this.#lingerUnlessUsed(instance);
    this.#scheduler.settle(instance); // a newcomer gets what is written, not what was last read
    return instance;
  }

  /** Opens a query that was not declared, for the server's own code; one of the same id is shared. */
  openAdHoc(id: string, sql: string, params: Params, trusted: boolean): Instance {
    const instance = this.#instances.get(id) ??
      this.#start(id, this.#plan(sql, { key: undefined, refreshed: false, recursion: trusted }), params);
    this.#byChannel.set(id, instance);
    this.#lingerUnlessUsed(instance);
    return instance;
  }

  /** Opens a query of another database: its result is what it is told. */
  openExternal(id: string, sql: string): Instance {
    const plan: Plan = { sql, dependencies: [], key: null };
    const instance = this.#instances.get(id) ?? this.#keep(new Instance(id, plan, {}, Result.of([], null)));
    this.#byChannel.set(id, instance);
    this.#lingerUnlessUsed(instance);
    return instance;
  }

  /** The living instances of an SQL text. */
  bySql(sql: string): Instance[] {
    return [...this.#instances.values()].filter(({ plan }) => plan.sql === sql);
  }

  /** Gives an instance a result that was read elsewhere. */
  put(instance: Instance, rows: readonly Row[]): void {
    this.#publish(instance, Result.of(rows, instance.plan.key));
  }

  /** Nobody listens to a channel any more. */
  left(channel: string, instance: Instance): void {
    this.#byChannel.delete(channel);
    if (instance.channels.size === 0) this.#lingerUnlessUsed(instance);
  }

  /** Takes in what a commit did. */
  #committed({ tables, schema, outside }: Changes): void {
    const woken = new Set<Instance>();
    for (const [name, change] of tables) {
      const found = change.rows === undefined
        ? this.#index.findAll(name)
        : this.#index.find(changesIn(change));
      for (const instance of found) woken.add(instance);
    }
    if (schema || outside) {
      this.#planAnew();
      for (const instance of this.#instances.values()) woken.add(instance);
    }
    if (woken.size === 0) return;
    this.#options.metrics?.wakes.add(woken.size);
    this.#scheduler.wake(woken);
  }

  /** Runs now whatever was woken: when it returns, all diffs are on their way. */
  settle(): void {
    this.#scheduler.settleAll();
  }

  stop(): void {
    this.#watch?.stop();
    this.#scheduler.stop();
    for (const { endRefresh } of this.#declared.values()) endRefresh?.();
    for (const cancel of this.#lingering.values()) cancel();
  }

  #instancesOf(name: string): Instance[] {
    return [...this.#instances.values()].filter(({ id }) => splitChannel(id).name === name);
  }

  #planOf(declared: Declared): Plan {
    const { sql, key, refreshMs } = declared.definition;
    return declared.plan ??= this.#plan(sql, { key, refreshed: refreshMs !== undefined, recursion: true });
  }

  #plan(sql: string, options: Parameters<typeof planOf>[3]): Plan {
    const { store } = this.#options;
    if (store === undefined) throw new PlugboardError("not_available", "There is no database to query");
    return planOf(sql, store, this.#schema!, options);
  }

  #start(id: string, plan: Plan, params: Params): Instance {
    const { clock } = this.#options;
    const begun = performance.now();
    const instance = new Instance(id, plan, params, Result.of(this.#read(plan, params), plan.key));
    instance.tookMs = performance.now() - begun;
    instance.ranAt = clock.now();
    return this.#keep(instance);
  }

  #keep(instance: Instance): Instance {
    const { maxInstances } = this.#options.limits;
    if (this.#instances.size >= maxInstances) {
      throw new PlugboardError("limit_exceeded", `More than ${maxInstances} live queries`);
    }
    this.#instances.set(instance.id, instance);
    this.#depend(instance);
    return instance;
  }

  #depend(instance: Instance): void {
    this.#index.add(instance, instance.plan.dependencies, (param) => instance.params[param.slice(1)]);
  }

  #read({ sql }: Plan, params: Params): Row[] {
    return this.#options.store!.all(sql, params, { maxRows: this.#options.limits.maxRows });
  }

  #run(instance: Instance): void {
    const { clock, limits, metrics } = this.#options;
    const begun = performance.now();
    try {
      const result = Result.of(this.#read(instance.plan, instance.params), instance.plan.key);
      instance.tookMs = performance.now() - begun;
      instance.ranAt = clock.now();
      metrics?.runs.observe(instance.tookMs / 1000);
      this.#publish(instance, result);
      if (instance.tookMs > limits.maxMs) this.#break(instance);
    } catch (error) {
      this.#end(instance, messageOf(error));
    }
  }

  #publish(instance: Instance, result: Result): void {
    const diff = instance.update(result, this.#options.clock.now());
    if (diff === undefined) return;
    this.#options.metrics?.diffs.add(1);
    this.#options.broker.diff(instance, diff);
  }

  /** Ends a query that takes too long, for a while: whatever else the server does would wait for it. */
  #break(instance: Instance): void {
    const { name } = splitChannel(instance.id);
    const declared = this.#declared.get(name);
    if (declared !== undefined) declared.brokenUntil = this.#options.clock.now() + COOL_DOWN_MS;
    this.#end(instance, `The query takes longer than ${this.#options.limits.maxMs} ms`);
  }

  /** Ends an instance, and tells whoever listens why. */
  #end(instance: Instance, reason: string): void {
    this.#options.log.warn("a live query was ended", { query: instance.id, reason });
    const channels = [...instance.channels];
    this.#drop(instance);
    for (const channel of channels) this.#options.close(channel, reason);
  }

  #drop(instance: Instance): void {
    this.#instances.delete(instance.id);
    this.#index.delete(instance);
    this.#scheduler.forget(instance);
    this.#lingering.get(instance)?.();
    this.#lingering.delete(instance);
    for (const channel of [instance.id, ...instance.channels]) this.#byChannel.delete(channel);
  }

  /** An instance without listeners stays for a while: who reconnects soon recovers. */
  #lingerUnlessUsed(instance: Instance): void {
    if (this.#lingering.has(instance)) return;
    const cancel = this.#options.clock.after(this.#options.limits.lingerMs, () => {
      this.#lingering.delete(instance);
      if (instance.channels.size === 0) this.#drop(instance);
    });
    this.#lingering.set(instance, cancel);
  }

  /** The schema is another: what queries read may be too. */
  #planAnew(): void {
    this.#schema?.forget();
    for (const declared of this.#declared.values()) declared.plan = undefined;
    for (const instance of [...this.#instances.values()]) {
      const declared = this.#declared.get(splitChannel(instance.id).name);
      try {
        if (declared !== undefined) instance.plan = this.#planOf(declared);
        this.#index.delete(instance);
        this.#depend(instance);
      } catch (error) {
        this.#end(instance, messageOf(error));
      }
    }
  }
}

function* changesIn({ table, rows }: TableChange): Iterable<Change> {
  for (const row of rows!) {
    yield {
      table,
      ...(row.type !== "insert" && { before: row.old }),
      ...(row.type !== "delete" && { after: row.new }),
    };
  }
}
