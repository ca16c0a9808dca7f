import type { Publication } from "../channels.ts";
import { Payload } from "../shared/payload.ts";
import { Activity, type Cause } from "./activity.ts";
import type { AnyQuery } from "./definition.ts";
import type { Plan } from "./plan.ts";
import type { Result, Row } from "./result.ts";
import type { IsolatedSource, Source } from "./source.ts";
import type { Arguments } from "./values.ts";

/** A query in use. */
export class Query {
  readonly name: string;
  readonly definition: AnyQuery;
  readonly source: Source | IsolatedSource;
  /** Whether the app declared it. An ad hoc query is removed with its last instance. */
  readonly declared: boolean;
  readonly instances = new Set<Instance>();
  readonly activity = new Activity();
  /** The names of the parameters in a declared query's SQL. */
  paramNames: readonly string[] = [];
  /** Absent before the first use and after a schema change. */
  plan: Plan | undefined;
  /** Pending while an isolated source plans it. */
  planning: Promise<void> | undefined;

  constructor(name: string, definition: AnyQuery, source: Query["source"], declared: boolean) {
    this.name = name;
    this.definition = definition;
    this.source = source;
    this.declared = declared;
  }
}

/** Why an instance has ended. */
export interface Ending {
  /**
   * `failed` and `removed` are final. After the others, a client can subscribe again: `renewed` for a change of the schema,
   * `postponed` for a failure that will pass.
   */
  readonly why: "failed" | "removed" | "renewed" | "postponed";
  readonly reason: string;
}

/** The unsubscribe code for each reason why an instance ends. After 2500, SDKs subscribe again by themselves. */
export const END_CODES = {
  failed: 2100,
  removed: 2100,
  renewed: 2500,
  postponed: 2500,
} satisfies Record<Ending["why"], number>;

/** Diffs kept for subscribers that reconnect. */
const MAX_DIFFS = 100;

/** Diffs with more text than this are kept only while they are shorter than a snapshot. */
const MAX_DIFF_CHARS = 16_384;

/** A query with its parameters, its latest result, and the latest diffs. */
export class Instance {
  readonly id: string;
  readonly query: Query;
  readonly params: Arguments;
  /** Separates this instance's offsets from those of an earlier instance of the same query. */
  readonly epoch: string = crypto.randomUUID().slice(0, 8);
  /** The channels it publishes to. Different orders of the same parameters are different channels. */
  readonly channels = new Set<string>();
  /** Called with the reason when the instance ends by itself. */
  onEnd: Set<(reason: string) => void> | undefined;
  /** Why it has ended. */
  ended: Ending | undefined;
  /** Who subscribed first. */
  readonly user: string;
  /** Whether its first run has succeeded. */
  hasRun = false;
  /** How long the latest run took in milliseconds, and when it ended. */
  tookMs = 0;
  ranAt = 0;
  readonly activity = new Activity();
  readonly #diffs: Publication[] = [];
  #diffChars = 0;
  #result: Result;
  #offset = 0;

  constructor(id: string, query: Query, params: Arguments, result: Result, user = "") {
    this.id = id;
    this.user = user;
    this.query = query;
    this.params = params;
    this.#result = result;
  }

  /** Notes that a write has woken it. */
  woken(cause: Cause): void {
    this.activity.woken(cause);
    this.query.activity.woken(cause);
  }

  /** Notes a run. */
  ran(tookMs: number, now: number): void {
    this.tookMs = tookMs;
    this.hasRun = true;
    this.ranAt = now;
    this.activity.ran(tookMs);
    this.query.activity.ran(tookMs);
  }

  get offset(): number {
    return this.#offset;
  }

  /** The whole result as JSON text. */
  get snapshot(): string {
    return this.#result.snapshot;
  }

  /** Returns the first rows, as clients get them. */
  first(count: number): Row[] {
    return this.#result.first(count);
  }

  /** The number of rows. */
  get size(): number {
    return this.#result.size;
  }

  /** The length of the whole result. */
  get chars(): number {
    return this.#result.chars;
  }

  /** Returns the kept diffs after an offset. */
  since(offset: number): Publication[] {
    return this.#diffs.filter((each) => each.offset > offset);
  }

  /** Replaces the result. Returns the diff to publish, if anything changed. */
  update(result: Result, now: number): Publication | undefined {
    const json = this.#result.diff(result);
    if (json === undefined) return;
    this.#result = result;
    this.activity.diffs++;
    this.query.activity.diffs++;
    const publication = { offset: ++this.#offset, payload: Payload.fromValidJson(json), time: now };
    this.#keep(publication);
    return publication;
  }

  #keep(publication: Publication): void {
    this.#diffChars += publication.payload.text.length;
    this.#diffs.push(publication);
    const maxChars = Math.max(MAX_DIFF_CHARS, this.#result.chars);
    while (this.#diffs.length > MAX_DIFFS || this.#diffChars > maxChars) {
      this.#diffChars -= this.#diffs.shift()!.payload.text.length;
    }
  }
}
