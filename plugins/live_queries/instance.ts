/**
 * An instance: a query with certain parameters, shared by all who listen to it.
 *
 * @module
 */

import type { Publication } from "../channels.ts";
import type { Query } from "./query.ts";
import type { Result } from "./result.ts";
import type { Arguments } from "./values.ts";

/** Diffs that are kept for those who come back. */
const KEPT_DIFFS = 100;

/** Diffs of more text than this are only kept while a snapshot would be even longer. */
const KEPT_CHARS = 16_384;

/** A query with its parameters, its latest result, and the diffs that led there. */
export class Instance {
  readonly id: string;
  readonly query: Query;
  readonly params: Arguments;
  /** A new instance of the same query has nothing to do with the diffs of an old one. */
  readonly epoch: string = crypto.randomUUID().slice(0, 8);
  /** The channels it was asked for by, and publishes to; the parameters may stand there in several orders. */
  readonly channels = new Set<string>();
  readonly #log: Publication[] = [];
  #logChars = 0;
  #result: Result;
  #offset = 0;
  /** Why it is no more. */
  ended: string | undefined;
  /** How long it took at the latest, in milliseconds, and when that was. */
  tookMs = 0;
  ranAt = 0;

  constructor(id: string, query: Query, params: Arguments, result: Result) {
    this.id = id;
    this.query = query;
    this.params = params;
    this.#result = result;
  }

  get offset(): number {
    return this.#offset;
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
    this.#keep(publication);
    return publication;
  }

  /** Whoever missed more than a whole result's worth of diffs is better off with a snapshot. */
  #keep(publication: Publication): void {
    this.#logChars += publication.json.length;
    this.#log.push(publication);
    const most = Math.max(KEPT_CHARS, this.#result.chars);
    while (this.#log.length > KEPT_DIFFS || this.#logChars > most) {
      this.#logChars -= this.#log.shift()!.json.length;
    }
  }
}
