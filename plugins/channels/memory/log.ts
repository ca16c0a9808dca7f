import type { Owned, Owner } from "../../shared/shares.ts";
import type { PublicationVersion } from "../broker.ts";
import type { HistoryQuery, Publication } from "../publications.ts";

/** The memory that a log without publications takes, in bytes. */
const LOG_SIZE = 800;
/** The memory that a publication takes besides its payload. */
const PUBLICATION_SIZE = 300;

/** The history of one channel. */
export class Log implements Owned<Log> {
  readonly channel: string;
  readonly epoch: string;
  offset = 0;
  usedAt = 0;
  ageMs = 0;
  /** The version of the latest publication that has one. */
  version: PublicationVersion | undefined;
  /** Who began the history; absent while it is empty. */
  owner: Owner<Log> | undefined;
  #chars = 0;
  /** Publications, the oldest first; those before `#start` are removed and cleared. */
  readonly #publications: (Publication | undefined)[] = [];
  /** When each was appended, in monotonic time. */
  readonly #times: number[] = [];
  #start = 0;

  constructor(channel: string, epoch: string) {
    this.channel = channel;
    this.epoch = epoch;
  }

  get length(): number {
    return this.#publications.length - this.#start;
  }

  /** The memory that it takes, as an estimate. */
  get size(): number {
    const versionSize = this.version?.epoch.length ?? 0;
    return LOG_SIZE + this.channel.length + versionSize + this.length * PUBLICATION_SIZE + this.#chars;
  }

  append(publication: Publication, now: number, size: number): void {
    this.#publications.push(publication);
    this.#times.push(now);
    this.#chars += charsOf(publication);
    while (this.length > size) this.#removeOldest();
  }

  expire(now: number): void {
    while (this.length > 0 && this.#times[this.#start]! <= now - this.ageMs) this.#removeOldest();
  }

  clear(): void {
    this.#publications.length =
      this.#times.length =
      this.#start =
      this.#chars =
        0;
  }

  /** Reads what a query asks for. Offsets have no gaps, so a position is an index. */
  read({ limit = Infinity, since, reverse = false }: HistoryQuery): readonly Publication[] {
    if (limit === 0 || (since !== undefined && since.epoch !== "" && since.epoch !== this.epoch)) return [];
    const { length } = this;
    const first = this.offset - length + 1;
    if (reverse) {
      const end = since === undefined ? length : clamp(since.offset - first, length);
      return this.#slice(Math.max(0, end - limit), end).reverse();
    }
    const begin = since === undefined ? 0 : clamp(since.offset + 1 - first, length);
    return this.#slice(begin, begin + limit);
  }

  #slice(begin: number, end: number): Publication[] {
    return this.#publications.slice(this.#start + begin, this.#start + end) as Publication[];
  }

  /** Moves the start rather than all others: `shift` took a fifth of a publish. */
  #removeOldest(): void {
    this.#chars -= charsOf(this.#publications[this.#start]!);
    this.#publications[this.#start++] = undefined;
    if (this.#start > this.length) {
      this.#publications.splice(0, this.#start);
      this.#times.splice(0, this.#start);
      this.#start = 0;
    }
  }
}

function charsOf({ payload, tags }: Publication): number {
  let chars = payload.content.length;
  if (tags !== undefined) { for (const name in tags) chars += name.length + tags[name]!.length; }
  return chars;
}

function clamp(index: number, length: number): number {
  return Math.min(Math.max(index, 0), length);
}
