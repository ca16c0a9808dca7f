/**
 * Fragments: messages in pieces, for networks that take no large frames.
 *
 * @module
 */

import type { Clock } from "../../../core/mod.ts";

/** A message that is complete: its text, and the pieces as they travelled. */
export interface Assembled {
  readonly text: string;
  readonly pieces: readonly string[];
}

/** Why a fragment cannot be taken. */
export type FragmentProblem = "invalid" | "overflow";

/** As TinyBase limits them, for each socket. */
const MAX_FRAGMENTS = 1_000;
const MAX_GROUPS = 100;
const MAX_RETAINED_CHARS = 16_777_216;

interface Group {
  readonly fragments: (string | undefined)[];
  readonly pieces: string[];
  readonly cancel: () => void;
  missing: number;
  size: number;
}

/**
 * Puts the fragments of one socket together. Nothing is passed on before it is complete: receivers count the
 * groups they wait for, and close their socket when there are too many.
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

  /** Takes a fragment addressed to `to`; gives the message it completes. */
  add(to: string, piece: string): Assembled | FragmentProblem | undefined {
    const head = /^([-0-9A-Z_a-z]{16})\n(\d{1,9})\n(\d{1,9})\n/.exec(piece);
    if (head === null) return "invalid";
    const index = Number(head[2]);
    const total = Number(head[3]);
    if (total > MAX_FRAGMENTS) return "overflow";
    if (index >= total) return "invalid";
    const key = `${to}\n${head[1]}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      if (this.#groups.size >= MAX_GROUPS) return "overflow";
      this.#groups.set(key, group = this.#open(key, total));
    }
    if (total !== group.fragments.length || group.fragments[index] !== undefined) return "invalid";
    if (this.#size + piece.length > MAX_RETAINED_CHARS) return "overflow";
    group.fragments[index] = piece.slice(head[0].length);
    group.pieces[index] = piece;
    group.size += piece.length;
    this.#size += piece.length;
    if (--group.missing > 0) return undefined;
    this.#close(key, group);
    return { text: group.fragments.join(""), pieces: group.pieces };
  }

  /** Forgets all that is incomplete. */
  clear(): void {
    for (const [key, group] of this.#groups) this.#close(key, group);
  }

  #open(key: string, total: number): Group {
    const cancel = this.#clock.after(this.#timeoutMs, () => this.#close(key, group));
    const group: Group = {
      fragments: Array(total).fill(undefined),
      pieces: [],
      cancel,
      missing: total,
      size: 0,
    };
    return group;
  }

  #close(key: string, group: Group): void {
    group.cancel();
    this.#groups.delete(key);
    this.#size -= group.size;
  }
}

/** A payload in pieces of at most `size` bytes; in one where no size is given, or it is small enough. */
export function piecesOf(payload: string, size: number | undefined): readonly string[] {
  if (size === undefined) return [payload];
  const bytes = new TextEncoder().encode(payload);
  // A piece ends at the end of a character, up to three bytes early.
  const atMost = Math.max(size, Math.ceil(bytes.length / MAX_FRAGMENTS) + 3);
  if (bytes.length <= atMost) return [payload];
  const fragments: string[] = [];
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (let start = 0; start < bytes.length;) {
    let end = Math.min(start + atMost, bytes.length);
    while (end > start + 1 && (bytes[end]! & 0xc0) === 0x80) end--;
    fragments.push(decoder.decode(bytes.subarray(start, end)));
    start = end;
  }
  const id = crypto.randomUUID().replaceAll("-", "").slice(0, 16);
  return fragments.map((fragment, i) => `${id}\n${i}\n${fragments.length}\n${fragment}`);
}
