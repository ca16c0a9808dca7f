/**
 * The registry: which queries there are, and which of their instances are alive.
 *
 * @module
 */

import { type Clock, messageOf, PlugboardError } from "../../core/mod.ts";
import type { Changes } from "../persistence.ts";
import type { Identity } from "../shared/identity.ts";
import { Instance } from "./instance.ts";
import { Instances, type InstancesOptions, isTimeout, tooSlow } from "./instances.ts";
import { channelOf, LIVE, parseParams, splitChannel } from "./params.ts";
import { Query, type QueryDefinition, type RemoteSource, type Source } from "./query.ts";
import { Result, type Row } from "./result.ts";
import type { Arguments } from "./values.ts";

/** What the registry works with. */
export interface RegistryOptions extends InstancesOptions {
  /** Where declared queries are run. */
  readonly source: Source;
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

/** All queries, and who asks for them. */
export class QueryRegistry {
  readonly instances: Instances;
  readonly #source: Source;
  readonly #clock: Clock;
  readonly #maxMs: number;
  readonly #queries = new Map<string, Query>();
  readonly #refreshes = new Map<Query, () => void>();
  /** The names of queries that were too slow, for a while. */
  readonly #cooling = new Map<string, () => void>();
  /** Counts the schemas there were. */
  #schema = 0;

  constructor(options: RegistryOptions) {
    this.#source = options.source;
    this.#clock = options.clock;
    this.#maxMs = options.limits.maxMs;
    this.instances = new Instances(options, {
      slow: ({ name }) => this.#cool(name),
      lost: (query) => this.#dropUnused(query),
    });
  }

  /** Adds a query; a wrong one is refused at once. */
  declare(name: string, definition: QueryDefinition): void {
    const query = new Query(name, definition, this.#source, true);
    query.plan = this.#source.plan(definition);
    const { refreshMs } = definition;
    if (refreshMs !== undefined) {
      const refresh = () => this.instances.wake(query.instances);
      this.#refreshes.set(query, this.#clock.every(refreshMs, refresh));
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
    for (const instance of query.instances) this.instances.end(instance, "The query was removed", "removed");
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
  openOwn(name: string, channel: string, sql: string, params: Arguments, source = this.#source): Instance {
    return this.#open(this.#free(name, sql, source), channel, channel, params);
  }

  /** Opens free SQL of somebody else's, in another process. */
  async openRemote(free: FreeQuery, source: RemoteSource): Promise<Instance> {
    const { name, id, channel, sql, params } = free;
    this.#checkCool(name);
    const query = this.#free(name, sql, source);
    try {
      while (query.plan === undefined) await (query.planning ??= this.#planRemote(query, source));
      const instance = this.instances.get(id) ??
        this.instances.add(new Instance(id, query, params, Result.of([], null)));
      this.#queries.set(name, query); // it may have been forgotten while it was planned
      this.instances.open(channel, instance);
      await this.instances.ran(instance);
      if (instance.ended !== undefined) throw new PlugboardError("not_available", instance.ended);
      return instance;
    } finally {
      this.#dropUnused(query);
    }
  }

  /** The living instances of an SQL text that was not declared. */
  own(name: string): ReadonlySet<Instance> {
    return this.#own(name)?.instances ?? new Set();
  }

  /** Gives an instance a result that was read elsewhere. */
  put(instance: Instance, rows: readonly Row[]): void {
    this.instances.publish(instance, Result.of(rows, null));
  }

  /** Takes in what a commit did. */
  committed(changes: Changes): void {
    if (changes.schema) this.#planAnew();
    this.instances.committed(changes);
  }

  /** Hastens whatever was woken; resolves when of these channels all diffs are on their way. */
  async settled(channels: Iterable<string>): Promise<void> {
    this.instances.hasten();
    for (const channel of channels) {
      const instance = this.instances.find(channel);
      if (instance !== undefined) await this.instances.ran(instance);
    }
  }

  stop(): void {
    this.instances.stop();
    for (const timers of [this.#refreshes, this.#cooling]) {
      for (const cancel of timers.values()) cancel();
    }
  }

  async #planRemote(query: Query, source: RemoteSource): Promise<void> {
    try {
      const schema = this.#schema;
      const plan = await source.plan(query.definition);
      if (schema === this.#schema) query.plan = plan; // else it may be about tables that are gone
    } catch (error) {
      if (isTimeout(error)) this.#cool(query.name);
      throw error;
    } finally {
      query.planning = undefined;
    }
  }

  #own(name: string): Query | undefined {
    const query = this.#queries.get(name);
    return query?.declared === false ? query : undefined;
  }

  #free(name: string, sql: string, source: Query["source"]): Query {
    const query = this.#own(name) ?? new Query(name, { sql }, source, false);
    this.#queries.set(name, query);
    return query;
  }

  #open(query: Query, channel: string, id: string, params: Arguments): Instance {
    this.#checkCool(query.name);
    try {
      const instance = this.instances.get(id) ?? this.#start(query, id, params);
      this.instances.open(channel, instance);
      return instance;
    } finally {
      this.#dropUnused(query);
    }
  }

  #start(query: Query, id: string, params: Arguments): Instance {
    const { source, definition } = query;
    if (source.remote) throw denied();
    query.plan ??= source.plan(definition);
    const begun = performance.now();
    const rows = source.read(definition.sql, params, query.plan);
    const tookMs = performance.now() - begun;
    if (tookMs > this.#maxMs) {
      this.#cool(query.name);
      throw tooSlow(this.#maxMs);
    }
    return this.instances.add(new Instance(id, query, params, Result.of(rows, query.plan.key)), tookMs);
  }

  /** Refuses a query for a while. */
  #cool(name: string): void {
    this.#cooling.get(name)?.();
    this.#cooling.set(name, this.#clock.after(COOL_DOWN_MS, () => this.#cooling.delete(name)));
  }

  #checkCool(name: string): void {
    if (this.#cooling.has(name)) throw tooSlow(this.#maxMs);
  }

  /** Free SQL is forgotten with its last instance. */
  #dropUnused(query: Query): void {
    const unused = !query.declared && query.instances.size === 0 && query.planning === undefined;
    if (unused && this.#queries.get(query.name) === query) this.#queries.delete(query.name);
  }

  /** The schema is another: what queries read may be too. */
  #planAnew(): void {
    this.#schema++;
    for (const query of this.#queries.values()) query.plan = undefined;
    for (const instance of [...this.instances]) {
      const { query } = instance;
      if (query.source.remote) {
        this.instances.end(instance, "The schema has changed", "renewed");
        continue;
      }
      try {
        query.plan ??= query.source.plan(query.definition);
        this.instances.depend(instance);
      } catch (error) {
        this.instances.end(instance, messageOf(error));
      }
    }
  }
}

function denied(): PlugboardError {
  return new PlugboardError("permission_denied", "Permission denied");
}
