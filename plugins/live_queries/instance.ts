/**
 * An instance: a query with certain parameters, shared by all who listen to it.
 *
 * @module
 */

import type { Publication } from "../channels.ts";
import type { Plan } from "./plan.ts";
import { Result } from "./result.ts";
import type { Params } from "./values.ts";

/** Diffs that are kept for those who come back. */
const KEPT_DIFFS = 100;

/** A query with its parameters, its latest result, and the diffs that led there. */
export class Instance {
  readonly id: string;
  /** Made anew when the schema changes. */
  plan: Plan;
  readonly params: Params;
  /** A new instance of the same query has nothing to do with the diffs of an old one. */
  readonly epoch: string = crypto.randomUUID().slice(0, 8);
  /** The channels it publishes to; the parameters may stand there in several orders. */
  readonly channels = new Set<string>();
  readonly #log: Publication[] = [];
  #result: Result;
  #offset = 0;
  /** How long it took at the latest, in milliseconds, and when that was. */
  tookMs = 0;
  ranAt = 0;

  constructor(id: string, plan: Plan, params: Params, result: Result) {
    this.id = id;
    this.plan = plan;
    this.params = params;
    this.#result = result;
  }

  get offset(): number {
    return this.#offset;
  }

  get size(): number {
    return this.#result.size;
  }

  /** The whole result, as JSON text. */
  get snapshot(): string {
    return this.#result.snapshot;
  }

  /** The diffs after an offset, as far as they are kept. */
  since(offset: number): Publication[] {
    return this.#log.filter((each) => each.offset > offset);
  }

  /** Takes in a result that was read anew; gives the diff to publish, if anything changed. */
  update(result: Result, now: number): Publication | undefined {
    const json = this.#result.diff(result);
    if (json === undefined) return;
    this.#result = result;
    const publication = { offset: ++this.#offset, json, time: now };
    if (this.#log.push(publication) > KEPT_DIFFS) this.#log.shift();
    return publication;
  }
}
