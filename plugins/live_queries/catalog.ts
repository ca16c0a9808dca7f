/**
 * The catalog: which queries there are, who may read them, and their plans.
 *
 * @module
 */

import { chain, type Clock, type MaybePromise, PlugboardError } from "../../core/mod.ts";
import { isSchema } from "../shared/contract.ts";
import type { Identity } from "../shared/identity.ts";
import { LIVE, queryChannel } from "../shared/live_channels.ts";
import { shownName } from "../shared/shown_name.ts";
import { type AnyQuery, paramNames } from "./definition.ts";
import { bindable, parseBySchema, parseParams, splitChannel } from "./params.ts";
import type { Plan } from "./plan.ts";
import { type Instance, Query } from "./query.ts";
import type { Source } from "./source.ts";
import { type Arguments, textOf } from "./values.ts";

/** A query with the parameters to run it with. */
export interface Request {
  readonly query: Query;
  /** Identifies the instance. */
  readonly id: string;
  readonly params: Arguments;
}

/** How long a query that was too slow is refused. */
const COOL_DOWN_MS = 60_000;

/** All queries by name. */
export class QueryCatalog {
  readonly #source: Source;
  readonly #clock: Clock;
  readonly #maxMs: number;
  readonly #queries = new Map<string, Query>();
  /** Names of queries that were too slow, and the timers that allow them again. */
  readonly #tooSlow = new Map<string, () => void>();
  /** Counts schema changes. */
  #schema = 0;

  /** Declared queries run in `source`. */
  constructor(source: Source, clock: Clock, maxMs: number) {
    this.#source = source;
    this.#clock = clock;
    this.#maxMs = maxMs;
  }

  /** Throws a sentence if a query is wrong. */
  check(definition: AnyQuery): void {
    this.#source.plan(definition);
  }

  /** Adds a declared query. Throws a sentence if it is wrong. */
  declare(name: string, definition: AnyQuery): Query {
    const query = new Query(name, definition, this.#source, true);
    query.paramNames = paramNames(definition.sql);
    query.plan = this.#planDeclared(name, definition);
    this.#queries.set(name, query);
    return query;
  }

  #planDeclared(name: string, definition: AnyQuery): Plan {
    try {
      return this.#source.plan(definition);
    } catch (error) {
      const { code, message } = error as Partial<PlugboardError>;
      if (code === undefined || message === undefined) throw error;
      const advice = message.startsWith("no such table") ? "; define a query when its tables exist" : "";
      throw new PlugboardError(code, `The live query "${name}" is wrong: ${message}${advice}`, {
        cause: error,
      });
    }
  }

  /** Returns all queries. */
  all(): Iterable<Query> {
    return this.#queries.values();
  }

  /** Returns a query by its name. */
  find(name: string): Query | undefined {
    return this.#queries.get(name);
  }

  /** Removes a declared query. */
  remove({ name }: Query): void {
    this.#queries.delete(name);
  }

  /**
   * Reads the channel name of a declared query. Throws unless the identity may read it; the server always may. A promise
   * where the query's schema is asynchronous.
   */
  request(channel: string, identity: Identity | undefined): MaybePromise<Request> {
    const { name, text } = splitChannel(channel);
    const query = this.#queries.get(name);
    if (query?.declared !== true) {
      // Only who may read it learns that it does not exist.
      if (identity?.can("read", `${LIVE}${name}`) === false) throw denied();
      throw new PlugboardError("unknown_channel", `There is no live query ${shownName(name)}`);
    }
    const { params: types = {}, allow } = query.definition;
    const check = (given: Readonly<Record<string, unknown>>) => {
      const allowed = identity === undefined ||
        (allow?.(identity, given) ?? identity.can("read", `${LIVE}${name}`));
      if (!allowed) throw denied();
    };
    if (!isSchema(types)) {
      const params = parseParams(text, types, identity);
      check(params);
      return { query, id: queryChannel(name, params), params };
    }
    return chain(parseBySchema(text, types), (given) => {
      check(given);
      const params = bindable(given, query.paramNames);
      // Texts and numbers that look alike are different parameters.
      return { query, id: `${LIVE}${name}?${textOf(params)}`, params };
    });
  }

  /** Does the same for callers that cannot wait. */
  requestNow(channel: string, identity: Identity | undefined): Request {
    const request = this.request(channel, identity);
    if (!(request instanceof Promise)) return request;
    request.catch(() => {});
    throw new PlugboardError(
      "not_available",
      "Only clients can use a query whose parameters take time to check",
    );
  }

  /** Returns an ad hoc query, which is added if it is new. */
  adHoc(name: string, sql: string, source = this.#source as Query["source"]): Query {
    const known = this.#queries.get(name);
    if (known?.declared === false) return known;
    const query = new Query(name, { sql }, source, false);
    this.#queries.set(name, query);
    return query;
  }

  /** Returns the instances of an ad hoc query. */
  instancesOf(name: string): ReadonlySet<Instance> {
    const query = this.#queries.get(name);
    return query?.declared === false ? query.instances : new Set();
  }

  /** Plans a query, unless it has a plan. Its source must not be isolated. */
  plan(query: Query): { source: Source; plan: Plan } {
    const { source, definition } = query;
    if (source.isolated) throw denied();
    return { source, plan: query.plan ??= source.plan(definition) };
  }

  /** Plans a query of an isolated source; several callers share the work. */
  async planIsolated(query: Query, user: string): Promise<void> {
    while (query.plan === undefined) await (query.planning ??= this.#planOnce(query, user));
    this.#queries.set(query.name, query); // a failed caller may have removed it meanwhile
  }

  /** Forgets all plans after a schema change. */
  forgetPlans(): void {
    this.#schema++;
    for (const query of this.#queries.values()) query.plan = undefined;
  }

  /** Refuses a query for a while. */
  coolDown({ name }: Query): void {
    this.#tooSlow.get(name)?.();
    this.#tooSlow.set(name, this.#clock.after(COOL_DOWN_MS, () => this.#tooSlow.delete(name)));
  }

  /** Throws if a query was too slow a short time ago. */
  checkSpeed({ name }: Query): void {
    if (this.#tooSlow.has(name)) throw tooSlow(this.#maxMs);
  }

  /** Removes an ad hoc query without instances. */
  release(query: Query): void {
    const unused = !query.declared && query.instances.size === 0 && query.planning === undefined;
    if (unused && this.#queries.get(query.name) === query) this.#queries.delete(query.name);
  }

  stop(): void {
    for (const cancel of this.#tooSlow.values()) cancel();
  }

  async #planOnce(query: Query, user: string): Promise<void> {
    try {
      const schema = this.#schema;
      const plan = await query.source.plan(query.definition, user);
      if (schema === this.#schema) query.plan = plan; // else the tables may have changed
    } catch (error) {
      if (isTimeout(error)) this.coolDown(query);
      throw error;
    } finally {
      query.planning = undefined;
    }
  }
}

/** The error of a query that takes too long. */
export function tooSlow(maxMs: number): PlugboardError {
  return new PlugboardError("not_available", `The query takes longer than ${maxMs} ms`);
}

/** Reports whether a query was stopped because it took too long. */
export function isTimeout(error: unknown): boolean {
  return error instanceof PlugboardError && error.code === "timeout";
}

function denied(): PlugboardError {
  return new PlugboardError("permission_denied", "Permission denied");
}
