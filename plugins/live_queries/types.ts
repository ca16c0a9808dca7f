/**
 * What live queries offer.
 *
 * @module
 */

import type { Connection } from "../../core/mod.ts";
import type { Target } from "../channels.ts";
import type { Check } from "../shared/contract.ts";
import type { Identity } from "../shared/identity.ts";
import type { Payload } from "../shared/payload.ts";
import type { InstanceInfo, QueryInfo } from "./activity.ts";
import type { AnyQuery, QueryDefinition, QueryParams } from "./definition.ts";
import type { ParamTypes } from "./params.ts";
import type { Row } from "./result.ts";
import type { Arguments, Params } from "./values.ts";

/** A query that code of this process follows. */
export interface Watch {
  /** The snapshot, as clients get it. */
  readonly snapshot: { readonly key: readonly string[] | null; readonly rows: readonly Row[] };
  /** Stops following. */
  stop(): void;
}

/** What live queries offer to other plugins and to the app. */
export interface LiveQueries {
  /** Throws a sentence if a query is wrong, without declaring it. Its SQL is checked once the server has started. */
  check(name: string, definition: AnyQuery): void;
  /** Whether a query of this name is declared. */
  has(name: string): boolean;
  /** Declares a query. Throws a sentence if it is wrong. Returns the function that removes it. */
  define<Given extends QueryParams = ParamTypes, RowCheck extends Check = Check>(
    name: string,
    definition: QueryDefinition<Given, RowCheck>,
  ): () => void;
  /** Declares queries by their names. Returns the function that removes them. */
  defineAll(definitions: Readonly<Record<string, AnyQuery>>): () => void;
  /** Follows a query: `listener` gets the diffs, `ended` the reason if the query ends. */
  watch(
    name: string,
    params: Params,
    listener: (diff: unknown) => void,
    ended?: (reason: string) => void,
  ): Watch;
  /**
   * Returns the rows of a query, as clients get them. Throws unless the identity may read it; without one, the server
   * reads.
   */
  read(name: string, params: Params, identity?: Identity): Payload;
  /**
   * Ends subscriptions of clients to a query with these parameters, on all nodes, however their channels are written:
   * `live:orders?room=1` and `live:orders?room=01` are the same. Resolves to their number.
   */
  end(target: Target, name: string, params?: Params): Promise<number>;
  /**
   * Subscribes a client to SQL of the server, with parameters by name, or as a list for `?` and `$1`.
   * Resolves to an id for {@linkcode LiveQueries.unsubscribeFromQuery}.
   */
  subscribeToQuery(client: string, sql: string, params?: Arguments): Promise<string>;
  /** Ends such a subscription; resolves to `false` if there was none. */
  unsubscribeFromQuery(subscription: string): Promise<boolean>;
  /**
   * Passes in a query's result from a database that this server cannot read. The clients of `subscribeToQuery` get the
   * changes. Without `params`, the result is that of all parameters. Returns the number of updated queries.
   */
  notifyQueryUpdate(sql: string, rows: readonly Row[], params?: Arguments): number;
  /** Describes the queries, those with the longest time in all first. */
  describe(): QueryInfo[];
  /** Describes instances of a query, the slowest first. */
  instances(name: string, limit?: number): InstanceInfo[];
  /** Returns how SQLite would run a query, a line for each step. */
  explain(name: string): string[];
  /** Runs all woken queries now. When it returns, their diffs are sent. */
  settle(): void;
  /**
   * Runs woken queries soon. Resolves when the diffs for a connection are sent: all pending ones, or those of one
   * `commit`, which is `tx.commit` in the write. Expensive queries keep their pauses.
   */
  settled(conn?: Connection, commit?: object): Promise<void>;
  /** The number of live queries with different parameters. */
  readonly size: number;
}
