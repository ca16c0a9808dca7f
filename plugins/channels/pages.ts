import type { History } from "./publications.ts";

/** A page has no more characters of payloads, unless its first publication alone has. */
const MAX_CHARS = 524_288;

/** How many pages are remembered. */
const MAX_PAGES = 16;

/**
 * The pages of histories that clients read. A page is bounded. One that is read again is the same object, so that
 * protocols encode it once.
 */
export class Pages {
  /** By what identifies a page, the one that was read last at the end. */
  readonly #latest = new Map<string, History["publications"]>();

  /** Returns what a client gets of a history. */
  of(channel: string, { publications, top }: History): History {
    const length = lengthOf(publications);
    if (length === 0) return { publications: [], top };
    // A publication never changes.
    const [first, last] = [publications[0]!.offset, publications[length - 1]!.offset];
    const key = JSON.stringify([channel, top.epoch, first, last, length]);
    const page = this.#latest.get(key) ??
      (length === publications.length ? publications : publications.slice(0, length));
    this.#latest.delete(key);
    this.#latest.set(key, page);
    if (this.#latest.size > MAX_PAGES) this.#latest.delete(this.#latest.keys().next().value!);
    return { publications: page, top };
  }
}

/** Returns how many publications fit into a page. */
function lengthOf(publications: History["publications"]): number {
  let chars = 0;
  let length = 0;
  for (const { payload } of publications) {
    chars += payload.content.length;
    if (chars > MAX_CHARS && length > 0) break;
    length++;
  }
  return length;
}
