/**
 * The slots of a Redis Cluster. Channels are divided over parts, and all keys of a part have one slot, as a script needs it.
 *
 * @module
 */

import { hash } from "./address.ts";

const SLOTS = 16_384;
/** The number of parts. With more primaries than this, some have none. Another number would move all channels. */
export const PARTS = 32;

/** A part of a cluster. */
export interface Part {
  /** What its keys contain: `{tag}`. */
  readonly tag: string;
  readonly slot: number;
}

/** CRC16, as in the specification of Redis Cluster. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (let i = 0; i < tag.length; i++) {
    crc ^= tag.charCodeAt(i) << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
  }
  return (crc & 0xffff) % SLOTS;
}

/** Returns the parts, whose slots are evenly distributed. */
export function parts(): Part[] {
  return Array.from({ length: PARTS }, (_, part) => {
    for (let n = 0;; n++) {
      const slot = slotOf(`${n}`);
      if (Math.floor(slot * PARTS / SLOTS) === part) return { tag: `{${n}}`, slot };
    }
  });
}

/** Returns the number of a name's part. */
export function partOf(name: string): number {
  return hash(name) % PARTS;
}

/** A primary, with ranges of slots. */
export interface Primary {
  readonly host: string;
  readonly port: number;
  /** Of two that claim a slot, the one with the higher epoch has it. */
  readonly epoch: number;
  readonly slots: readonly (readonly [first: number, last: number])[];
}

/** Reads the answer to `CLUSTER NODES`. Who answers may not know its own host: `asked`. */
export function primariesFrom(answer: string, asked: string): Primary[] {
  return answer.split("\n").flatMap((line) => {
    const [, address = "", flags = "", , , , epoch, , ...slots] = line.trim().split(" ");
    const known = flags.split(",");
    if (!known.includes("master") || known.includes("noaddr") || slots.length === 0) return [];
    // host:port@port, and a name if one is announced.
    const [place = "", name] = address.split(",");
    const [, host = "", port] = place.match(/^\[?(.*?)\]?:(\d+)(?:@\d+)?$/) ?? [];
    const ranges = slots.filter((range) => !range.startsWith("[")).map((range) => {
      const [first, last = first] = range.split("-").map(Number);
      return [first!, last!] as const;
    });
    return [{ host: name || host || asked, port: Number(port), epoch: Number(epoch), slots: ranges }];
  });
}

/** Returns the primary of a slot; none if there is none. */
export function primaryOf(slot: number, primaries: readonly Primary[]): Primary | undefined {
  let best: Primary | undefined;
  for (const primary of primaries) {
    if (best !== undefined && best.epoch >= primary.epoch) continue;
    if (primary.slots.some(([first, last]) => first <= slot && slot <= last)) best = primary;
  }
  return best;
}
