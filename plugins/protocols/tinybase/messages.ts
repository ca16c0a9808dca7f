/**
 * TinyBase's synchronization messages: parsed, validated, encoded.
 *
 * TinyBase's clients close their socket when they receive an invalid message, so a relay that forwarded everything
 * would let one client disconnect all others. Messages of known types are validated as strictly as by the clients;
 * messages of later types are forwarded as they are.
 *
 * @module
 */

import { isHlc } from "./hlc.ts";
import { isEmpty, isRecord } from "../../shared/records.ts";

/** The types of messages. */
export const messageTypes = {
  response: 0,
  getContentHashes: 1,
  contentHashes: 2,
  contentDiff: 3,
  getTableDiff: 4,
  getRowDiff: 5,
  getCellDiff: 6,
  getValueDiff: 7,
} as const;

/**
 * The largest message that every client accepts. Clients close their socket if a frame is larger than 16 MiB; 2 KiB
 * are left for the ids of the sender and the channel, which precede the message.
 */
export const MAX_MESSAGE_BYTES: number = 16_777_216 - 2_048;

/** A value with the clock of its last change. A missing clock is `""`. */
export type Stamp<T> = [thing: T, hlc?: string];
/** The cells of a row, or all values. A deleted one is `undefined`. */
export type ThingsStamp = Stamp<Record<string, Stamp<unknown>>>;
/** The rows of a table. */
export type TableStamp = Stamp<Record<string, ThingsStamp>>;
/** All tables. */
export type TablesStamp = Stamp<Record<string, TableStamp>>;
/** Changed tables and values. */
export type Changes = [tables: TablesStamp, values: ThingsStamp, isChanges?: 1];

/** The hashes of all tables and of all values. */
export type ContentHashes = [tables: number, values: number];

/** A message. */
export interface SyncMessage {
  /** Matches a response to its request. */
  readonly requestId: string | null;
  /** One of {@linkcode messageTypes}, or of a later version. */
  readonly type: number;
  readonly body: unknown;
  /** The latest clock in it. */
  readonly latest: string;
  /** The text to forward instead, if the message had to be repaired. */
  readonly repaired?: string;
}

/** A deleted cell or value, in JSON. */
const UNDEFINED = "\uFFFC";
/** The first character of a cell that is an object or an array, in JSON. */
const JSON_PREFIX = "\uFFFD";

let last: { text: string; message: SyncMessage | undefined } = { text: "", message: undefined };

/**
 * Parses a message; returns `undefined` if it is invalid. The last result is cached, because a message is often parsed
 * twice in a row: when it is routed, and by its recipient. Callers must not modify the result.
 */
export function parseMessage(text: string): SyncMessage | undefined {
  if (last.text !== text) last = { text, message: parse(text) };
  return last.message;
}

/** Encodes a message. */
export function encodeMessage(requestId: string | null, type: number, body: unknown): string {
  return encodeEncoded(requestId, type, encodeBody(body));
}

/** Encodes the body of a message. */
export function encodeBody(body: unknown): string {
  return JSON.stringify(body, encodeUndefined);
}

/** Encodes a message whose body is encoded. */
export function encodeEncoded(requestId: string | null, type: number, body: string): string {
  return `[${JSON.stringify(requestId)},${type},${body}]`;
}

/** Encodes a stamp. */
export function encodeStamp(stamp: unknown): string {
  return JSON.stringify(stamp, encodeUndefined);
}

/** Parses the stamp of a row or of a value, and finds its latest clock. Throws if it is invalid. */
export function parseStamp(text: string, kind: "row" | "value"): { stamp: Stamp<unknown>; latest: string } {
  const validator = new Validator();
  const stamp: unknown = JSON.parse(text);
  if (!validator.stamp(stamp, kind === "row" ? 1 : 0)) {
    throw new SyntaxError(`This is not the stamp of a ${kind}`);
  }
  return { stamp, latest: validator.latest };
}

function parse(text: string): SyncMessage | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts) || parts.length !== 3) return undefined;
  const [requestId, type, body] = parts;
  if (requestId !== null && typeof requestId !== "string" || !Number.isInteger(type)) return undefined;
  const validator = new Validator();
  if (!validator.body(type, body)) return undefined;
  const { latest, isRepaired } = validator;
  return {
    requestId,
    type,
    body,
    latest,
    ...(isRepaired && { repaired: encodeMessage(requestId, type, body) }),
  };
}

function encodeUndefined(_key: string, value: unknown): unknown {
  return value === undefined ? UNDEFINED : value;
}

/** Validates one message, and decodes deleted cells and values in place. */
class Validator {
  latest = "";
  /**
   * Whether tables without rows or rows without cells were removed. TinyBase adds them to its hashes each time it
   * merges them, so that the hashes of stores with equal content differ permanently.
   */
  isRepaired = false;

  body(type: number, body: unknown): boolean {
    switch (type) {
      case messageTypes.response:
        return this.response(body);
      case messageTypes.getContentHashes:
        return body === "";
      case messageTypes.contentHashes:
        return isHashes(body);
      case messageTypes.contentDiff:
        return this.changes(body);
      case messageTypes.getTableDiff:
      case messageTypes.getValueDiff:
        return isHashTree(body, 0);
      case messageTypes.getRowDiff:
        return isHashTree(body, 1);
      case messageTypes.getCellDiff:
        return isHashTree(body, 2);
      default:
        return type > messageTypes.getValueDiff && isShallow(body);
    }
  }

  response(body: unknown): boolean {
    if (isHashes(body)) return true;
    if (!Array.isArray(body)) return false;
    if (body.length === 2 && isRecord(body[1])) {
      return this.tables(body[0]) && (isHashTree(body[1], 0) || isHashTree(body[1], 1));
    }
    return this.tables(body) || this.stamp(body, 1);
  }

  changes(body: unknown): boolean {
    return Array.isArray(body) && (body.length === 2 || body.length === 3 && body[2] === 1) &&
      this.tables(body[0]) && this.stamp(body[1], 1);
  }

  tables(node: unknown): boolean {
    if (!this.stamp(node, 3)) return false;
    for (const [tableId, [rows]] of Object.entries((node as TablesStamp)[0])) {
      for (const [rowId, [cells]] of Object.entries(rows)) this.#removeIfEmpty(rows, rowId, cells);
      this.#removeIfEmpty((node as TablesStamp)[0], tableId, rows);
    }
    return true;
  }

  stamp(node: unknown, depth: number): node is Stamp<unknown> {
    if (!Array.isArray(node) || node.length !== 1 && node.length !== 2) return false;
    const [thing, hlc] = node;
    if (node.length === 2) {
      if (!isHlc(hlc)) return false;
      if (hlc > this.latest) this.latest = hlc;
    }
    if (depth === 0) {
      if (thing === UNDEFINED) node[0] = undefined;
      return isThing(thing);
    }
    if (!isRecord(thing)) return false;
    for (const id in thing) if (!this.stamp(thing[id], depth - 1)) return false;
    return true;
  }

  #removeIfEmpty(parent: Record<string, unknown>, id: string, children: Record<string, unknown>): void {
    if (!isEmpty(children)) return;
    delete parent[id];
    this.isRepaired = true;
  }
}

/**
 * Whether a cell or value is valid. Objects must be encoded as text: TinyBase's stores accept plain objects, but their
 * hashes never agree. A text with the JSON prefix must be JSON, because reading the cell would throw. Numbers must be
 * finite; `1e999` is not.
 */
function isThing(thing: unknown): boolean {
  if (typeof thing === "number") return Number.isFinite(thing);
  if (typeof thing !== "string" || thing[0] !== JSON_PREFIX) {
    return typeof thing !== "object" || thing === null;
  }
  try {
    return isShallow(JSON.parse(thing.slice(1)));
  } catch {
    return false;
  }
}

/** TinyBase's clients traverse messages recursively, and close their socket if the stack overflows. */
const MAX_DEPTH = 100;

function isShallow(value: unknown, levels = MAX_DEPTH): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((child) => isShallow(child, levels - 1));
}

function isHash(hash: unknown): boolean {
  return Number.isInteger(hash) && (hash as number) >= 0 && (hash as number) <= 0xffffffff;
}

/** Whether a value is the hashes of a store. */
export function isHashes(body: unknown): body is ContentHashes {
  return Array.isArray(body) && body.length === 2 && isHash(body[0]) && isHash(body[1]);
}

function isHashTree(tree: unknown, depth: number): boolean {
  if (!isRecord(tree)) return false;
  for (const id in tree) {
    if (depth > 0 ? !isHashTree(tree[id], depth - 1) : !isHash(tree[id])) return false;
  }
  return true;
}
