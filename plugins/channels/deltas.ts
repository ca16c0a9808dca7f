/**
 * Deltas: what has changed since the publication before, for subscribers that asked for it.
 *
 * @module
 */

import type { Payload } from "../shared/payload.ts";
import { encodeDelta } from "./fossil.ts";
import type { Publication } from "./publications.ts";

/** Larger payloads are sent as they are: at this size, hostile ones take 2 ms. */
const MAX_BYTES = 131_072;

/** A delta with its mark is sent only if it is shorter than the payload by more than this. */
const MARK_BYTES = 16;

/** The maximum bytes of payloads that are encoded as deltas for one recovery: hostile ones take 15 ms. */
const MAX_LIST_BYTES = 1_048_576;

/** How many recoveries are remembered. */
const MAX_LISTS = 16;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** For two payloads at a time: to allocate bytes takes longer than to encode into them. */
const scratch = [new Uint8Array(MAX_BYTES), new Uint8Array(MAX_BYTES)] as const;

/** The difference between the payloads of two publications, in Fossil's format. */
export class Delta {
  readonly #content: string | Uint8Array;
  #bytes: Uint8Array | undefined;

  /** Takes a delta of texts or of bytes. */
  constructor(content: string | Uint8Array) {
    this.#content = content;
  }

  /** The delta of JSON texts; `undefined` for payloads that are bytes. */
  get text(): string | undefined {
    return typeof this.#content === "string" ? this.#content : undefined;
  }

  /** The delta of the payloads' bytes. */
  get bytes(): Uint8Array {
    return this.#bytes ??= typeof this.#content === "string" ? encoder.encode(this.#content) : this.#content;
  }
}

/** Returns the delta between two payloads; `undefined` if the second is to be sent as it is. */
export function deltaBetween(from: Payload, to: Payload): Delta | undefined {
  if (from.isBinary !== to.isBinary) return undefined;
  const source = bytesOf(from, scratch[0]);
  const target = source && bytesOf(to, scratch[1]);
  if (target === undefined) return undefined;
  const options = { maxBytes: target.length - MARK_BYTES, text: !to.isBinary };
  const delta = encodeDelta(source!, target, options);
  return delta && new Delta(options.text ? decoder.decode(delta) : delta.slice());
}

/** Returns the bytes of a payload; `undefined` if they are too many. */
function bytesOf({ content }: Payload, into: Uint8Array<ArrayBuffer>): Uint8Array | undefined {
  if (content.length > MAX_BYTES) return undefined;
  if (typeof content !== "string") return content;
  const { read, written } = encoder.encodeInto(content, into);
  return read === content.length ? into.subarray(0, written) : undefined;
}

/** Deltas between each publication and the next. Clients that reconnect together share them. */
export class RecoveryDeltas {
  /** By what identifies a list, the one that was asked for last at the end. */
  readonly #latest = new Map<string, readonly (Delta | undefined)[]>();

  /** Returns the delta of each publication from the one before; the first has none. */
  of(
    channel: string,
    epoch: string | undefined,
    publications: readonly Publication[],
  ): readonly (Delta | undefined)[] {
    if (publications.length < 2) return publications.map(() => undefined);
    const key = JSON.stringify([channel, epoch, publications[0]!.offset, publications.length]);
    const deltas = this.#latest.get(key) ?? encodeAll(publications);
    this.#latest.delete(key);
    this.#latest.set(key, deltas);
    if (this.#latest.size > MAX_LISTS) this.#latest.delete(this.#latest.keys().next().value!);
    return deltas;
  }
}

function encodeAll(publications: readonly Publication[]): (Delta | undefined)[] {
  let bytes = 0;
  let before: Payload | undefined;
  return publications.map(({ payload }) => {
    const delta = before === undefined || bytes > MAX_LIST_BYTES ? undefined : deltaBetween(before, payload);
    bytes += payload.content.length;
    before = payload;
    return delta;
  });
}
