/**
 * TinyBase's synchronization messages: read, checked, written.
 *
 * TinyBase's clients close their socket when they receive what they take for invalid, so a relay that passed on
 * whatever it is given would let one client disconnect all others. Messages of the types known today are checked
 * as strictly as the clients do it; types to come are passed on as they are.
 *
 * @module
 */

import { isHlc } from "./hlc.ts";
import { isEmpty, isRecord } from "./records.ts";

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

/** A value with the clock of its last change; without one, `""`. */
export type Stamp<T> = [thing: T, hlc?: string];
/** A cell or a value; `undefined` where it was deleted. */
export type Thing = unknown;
/** The cells of a row, or all values. */
export type ThingsStamp = Stamp<Record<string, Stamp<Thing>>>;
/** The rows of a table. */
export type TableStamp = Stamp<Record<string, ThingsStamp>>;
/** All tables. */
export type TablesStamp = Stamp<Record<string, TableStamp>>;
/** What has changed. */
export type Changes = [tables: TablesStamp, values: ThingsStamp, isChanges?: 1];

/** The hashes of all tables and of all values. */
export type ContentHashes = [tables: number, values: number];

/** A message. */
export interface SyncMessage {
  /** What the sender recognises an answer by. */
  readonly requestId: string | null;
  /** One of {@linkcode messageTypes}, or of a later version. */
  readonly type: number;
  readonly body: unknown;
  /** The latest clock in it. */
  readonly latest: string;
  /** Set if the message had to be mended: what to send in its stead. */
  readonly mended?: string;
}

/** A deleted cell or value, in JSON. */
const UNDEFINED = "\uFFFC";
/** The first character of a cell that is an object or an array, in JSON. */
const JSON_PREFIX = "\uFFFD";

let last: { text: string; message: SyncMessage | undefined } = { text: "", message: undefined };

/**
 * Reads a message; `undefined` if it is none. The last one read is remembered: a message is looked at on its way,
 * and again where it arrives, which most often is in the same turn. So nobody may change what this returns.
 */
export function parseMessage(text: string): SyncMessage | undefined {
  if (last.text !== text) last = { text, message: read(text) };
  return last.message;
}

/** Writes a message. */
export function encodeMessage(requestId: string | null, type: number, body: unknown): string {
  return JSON.stringify([requestId, type, body], encodeUndefined);
}

/** Writes a stamp. */
export function encodeStamp(stamp: unknown): string {
  return JSON.stringify(stamp, encodeUndefined);
}

/** Reads the stamp of a row or of a value; throws if it is none. Gives its latest clock, too. */
export function parseStamp(text: string, kind: "row" | "value"): { stamp: Stamp<unknown>; latest: string } {
  const check = new Check();
  const stamp: unknown = JSON.parse(text);
  if (!check.stamp(stamp, kind === "row" ? 1 : 0)) {
    throw new SyntaxError(`This is not the stamp of a ${kind}`);
  }
  return { stamp, latest: check.latest };
}

function read(text: string): SyncMessage | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts) || parts.length !== 3) return undefined;
  const [requestId, type, body] = parts;
  if (requestId !== null && typeof requestId !== "string" || !Number.isInteger(type)) return undefined;
  const check = new Check();
  if (!check.body(type, body)) return undefined;
  const { latest, hollow } = check;
  return { requestId, type, body, latest, ...(hollow && { mended: encodeMessage(requestId, type, body) }) };
}

function encodeUndefined(_key: string, value: unknown): unknown {
  return value === undefined ? UNDEFINED : value;
}

/** Checks one message; puts `undefined` where it stands for that on the way. */
class Check {
  latest = "";
  /**
   * There were tables without rows or rows without cells; they are taken out. TinyBase counts them into its hashes
   * each time it merges them, so they make stores with equal contents differ for good.
   */
  hollow = false;

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
      for (const [rowId, [cells]] of Object.entries(rows)) this.#takeOutIfEmpty(rows, rowId, cells);
      this.#takeOutIfEmpty((node as TablesStamp)[0], tableId, rows);
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

  #takeOutIfEmpty(parent: Record<string, unknown>, id: string, children: Record<string, unknown>): void {
    if (!isEmpty(children)) return;
    delete parent[id];
    this.hollow = true;
  }
}

/**
 * What a cell or a value may be. Objects travel as texts; as themselves, TinyBase's stores would take them and never
 * agree on their hashes. A text that claims to be JSON and is none would throw at everybody who reads the cell. And
 * a number such as `1e999` is none in JavaScript.
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

/** TinyBase's clients follow a message into its depth, and close when their stack is at its end. */
const MAX_DEPTH = 100;

function isShallow(value: unknown, levels = MAX_DEPTH): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((child) => isShallow(child, levels - 1));
}

function isHash(hash: unknown): boolean {
  return Number.isInteger(hash) && (hash as number) >= 0 && (hash as number) <= 0xffffffff;
}

/** Whether something is the hashes of a store. */
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
