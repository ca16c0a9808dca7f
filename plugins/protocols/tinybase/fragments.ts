import type { Clock } from "../../../core/mod.ts";

// TinyBase's own limits, for each socket.
const MAX_FRAGMENTS = 1_000;
const MAX_GROUPS = 100;
const MAX_RETAINED_CHARS = 16_777_216;

/** The fragments of one incomplete message: their contents, and the frames as received. */
interface Group {
  readonly contents: (string | undefined)[];
  readonly fragments: string[];
  readonly cancel: () => void;
  missing: number;
  size: number;
}

/**
 * Assembles messages that were split into several frames, because a network limits their size. There is one for each
 * socket. Only complete messages are forwarded: receivers limit the number of incomplete ones, and close their socket
 * beyond it.
 */
export class Assembler {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #groups = new Map<string, Group>();
  #size = 0;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Adds a fragment addressed to `to`. Returns the message if it is complete, or why the fragment is refused. */
  add(
    to: string,
    fragment: string,
  ): { text: string; fragments: readonly string[] } | "invalid" | "overflow" | undefined {
    const header = /^([-0-9A-Z_a-z]{16})\n(\d{1,9})\n(\d{1,9})\n/.exec(fragment);
    if (header === null) return "invalid";
    const index = Number(header[2]);
    const total = Number(header[3]);
    if (total > MAX_FRAGMENTS) return "overflow";
    if (index >= total) return "invalid";
    const key = `${to}\n${header[1]}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      if (this.#groups.size >= MAX_GROUPS) return "overflow";
      this.#groups.set(key, group = this.#open(key, total));
    }
    if (total !== group.contents.length || group.contents[index] !== undefined) return "invalid";
    if (this.#size + fragment.length > MAX_RETAINED_CHARS) return "overflow";
    group.contents[index] = fragment.slice(header[0].length);
    group.fragments[index] = fragment;
    group.size += fragment.length;
    this.#size += fragment.length;
    if (--group.missing > 0) return undefined;
    this.#close(key, group);
    return { text: group.contents.join(""), fragments: group.fragments };
  }

  /** Discards all incomplete messages. */
  clear(): void {
    for (const [key, group] of this.#groups) this.#close(key, group);
  }

  #open(key: string, total: number): Group {
    const cancel = this.#clock.after(this.#timeoutMs, () => this.#close(key, group));
    const contents = Array(total).fill(undefined);
    const group: Group = { contents, fragments: [], cancel, missing: total, size: 0 };
    return group;
  }

  #close(key: string, group: Group): void {
    group.cancel();
    this.#groups.delete(key);
    this.#size -= group.size;
  }
}

/** Splits a payload into fragments of at most `size` bytes. Returns small payloads, and all without a size, as is. */
export function fragmentsOf(payload: string, size: number | undefined): readonly string[] {
  if (size === undefined) return [payload];
  const bytes = new TextEncoder().encode(payload);
  // Fragments end between characters, which shortens each by up to three bytes.
  const maxBytes = Math.max(size, Math.ceil(bytes.length / MAX_FRAGMENTS) + 3);
  if (bytes.length <= maxBytes) return [payload];
  const contents: string[] = [];
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (let start = 0; start < bytes.length;) {
    let end = Math.min(start + maxBytes, bytes.length);
    while (end > start + 1 && (bytes[end]! & 0xc0) === 0x80) end--;
    contents.push(decoder.decode(bytes.subarray(start, end)));
    start = end;
  }
  const id = crypto.randomUUID().replaceAll("-", "").slice(0, 16);
  return contents.map((content, i) => `${id}\n${i}\n${contents.length}\n${content}`);
}
