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

/** The difference between the payloads of two publications, in Fossil's format. */
export class Delta {
  /** The encoded delta; text in UTF-8 if the payloads are JSON. */
  readonly bytes: Uint8Array;
  #text: string | undefined;

  /** Takes an encoded delta. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The delta between JSON texts. */
  get text(): string {
    return this.#text ??= decoder.decode(this.bytes);
  }
}

/** A payload that a delta can start from. */
export interface DeltaBase {
  readonly payload: Payload;
  readonly bytes: Uint8Array;
}

/** Prepares a payload; `undefined` if it is too large. */
export function deltaBase(payload: Payload): DeltaBase | undefined {
  if (payload.content.length > MAX_BYTES) return undefined;
  // The bytes that a payload remembers would stay in the history with it.
  const bytes = payload.isBinary ? payload.bytes : encoder.encode(payload.text);
  return bytes.length > MAX_BYTES ? undefined : { payload, bytes };
}

/** Returns the delta between two payloads; `undefined` if the second is to be sent as it is. */
export function deltaBetween(from: DeltaBase | undefined, to: DeltaBase | undefined): Delta | undefined {
  if (from === undefined || to === undefined || from.payload.isBinary !== to.payload.isBinary) {
    return undefined;
  }
  const delta = encodeDelta(from.bytes, to.bytes, {
    maxBytes: to.bytes.length - MARK_BYTES,
    text: !to.payload.isBinary,
  });
  return delta && new Delta(delta);
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
  let before: DeltaBase | undefined;
  return publications.map(({ payload }) => {
    const base = bytes > MAX_LIST_BYTES ? undefined : deltaBase(payload);
    bytes += payload.content.length;
    const delta = deltaBetween(before, base);
    before = base;
    return delta;
  });
}
