/**
 * Queries: what is known of one, whatever its parameters are.
 *
 * @module
 */

import type { Identity } from "../shared/identity.ts";
import type { Instance } from "./instance.ts";
import type { ParamTypes } from "./params.ts";
import type { Plan } from "./plan.ts";
import type { Row } from "./result.ts";
import type { Arguments, Params } from "./values.ts";

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

/** Where queries are looked at and run: at once, in a committed state. */
export interface Source {
  readonly remote: false;
  /** What is to be known before it runs; throws a sentence if it is wrong. */
  plan(definition: QueryDefinition): Plan;
  /** Its rows. */
  read(sql: string, params: Arguments, plan: Plan): readonly Row[];
}

/** The same in another process. */
export interface RemoteSource {
  readonly remote: true;
  plan(definition: QueryDefinition): Promise<Plan>;
  read(sql: string, params: Arguments, plan: Plan): Promise<readonly Row[]>;
}

/** A query in use. */
export class Query {
  readonly name: string;
  readonly definition: QueryDefinition;
  readonly source: Source | RemoteSource;
  readonly instances = new Set<Instance>();
  /** Whether it was declared; otherwise it is somebody's own SQL, and gone with its last instance. */
  readonly declared: boolean;
  /** Made anew when the schema changes. */
  plan: Plan | undefined;
  /** Under way where it takes time. */
  planning: Promise<void> | undefined;

  constructor(name: string, definition: QueryDefinition, source: Query["source"], declared: boolean) {
    this.name = name;
    this.definition = definition;
    this.source = source;
    this.declared = declared;
  }
}
