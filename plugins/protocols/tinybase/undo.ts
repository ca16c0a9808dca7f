/**
 * Undoing: what a client that may only read has changed at its side is set back there, and nowhere else.
 *
 * Its store takes the server's value because that is sent with a clock right after the one of the change. The
 * server's own clock stays as it was, and nobody else hears of it: a correction that everybody took on would let a
 * reader whose clock is ahead keep the writers from changing a cell. For the same reason the reader does not see
 * changes by others that are older than its own, until there is a newer one.
 *
 * @module
 */

import type { MergeableStore } from "tinybase";
import { after } from "./hlc.ts";
import { Marks, stampsOf } from "./marks.ts";
import {
  type Changes,
  encodeMessage,
  isHashes,
  messageTypes,
  type Stamp,
  type SyncMessage,
  type TablesStamp,
  type ThingsStamp,
} from "./messages.ts";
import { isEmpty, isRecord, recordOf } from "./records.ts";

/** Sets back what one client has changed. */
export class Undo {
  readonly #store: MergeableStore;
  readonly #tell: (payload: string) => void;
  readonly #questions = new Map<string, number>();

  /** `tell` sends to the client. */
  constructor(store: MergeableStore, tell: (payload: string) => void) {
    this.#store = store;
    this.#tell = tell;
  }

  /** The client tells of a change, of its hashes, or answers. */
  message({ requestId, type, body }: SyncMessage): void {
    if (type === messageTypes.contentDiff) this.#correct(body as Changes);
    else if (type === messageTypes.contentHashes) this.compare(body);
    else if (type === messageTypes.response && requestId !== null) this.#answered(requestId, body);
  }

  /** Asks for what is different, unless that is under way. */
  compare(hashes: unknown): void {
    if (this.#questions.size > 0 || !isHashes(hashes)) return;
    const [tablesHash, valuesHash] = hashes;
    const [ownTablesHash, ownValuesHash] = this.#store.getMergeableContentHashes();
    if (tablesHash !== ownTablesHash) {
      this.#ask(messageTypes.getTableDiff, this.#store.getMergeableTableHashes());
    }
    if (valuesHash !== ownValuesHash) {
      this.#ask(messageTypes.getValueDiff, this.#store.getMergeableValueHashes());
    }
  }

  #answered(requestId: string, body: unknown): void {
    const type = this.#questions.get(requestId);
    this.#questions.delete(requestId);
    if (type === undefined || !Array.isArray(body)) return;
    if (type === messageTypes.getValueDiff) return this.#correct([[{}], body as ThingsStamp]);
    if (type === messageTypes.getCellDiff) return this.#correct([body as TablesStamp, [{}]]);
    const [tables, differing] = body as [TablesStamp, unknown];
    if (!Array.isArray(tables) || !isRecord(differing)) return;
    this.#correct([tables, [{}]]);
    if (Object.keys(differing).length === 0) return;
    if (type === messageTypes.getTableDiff) {
      this.#ask(
        messageTypes.getRowDiff,
        this.#store.getMergeableRowHashes(differing as Record<string, number>),
      );
    } else {
      const hashes = differing as Record<string, Record<string, number>>;
      this.#ask(messageTypes.getCellDiff, this.#store.getMergeableCellHashes(hashes));
    }
  }

  #ask(type: number, body: unknown): void {
    const requestId = crypto.randomUUID();
    this.#questions.set(requestId, type);
    this.#tell(encodeMessage(requestId, type, body));
  }

  #correct([[tables], [values]]: Changes): void {
    const marks = new Marks();
    marks.add(tables, values);
    const [[ownTables], [ownValues]] = stampsOf(this.#store, marks);
    const changes: Changes = [
      [mapped(tables, ([rows], tableId) => {
        const corrected = mapped(rows, ([cells], rowId) => {
          return filled(corrections(cells, ownTables[tableId]?.[0][rowId]?.[0]));
        });
        return filled(corrected);
      })],
      [corrections(values, ownValues)],
      1,
    ];
    if (isEmpty(changes[0][0]) && isEmpty(changes[1][0])) return;
    this.#tell(encodeMessage(null, messageTypes.contentDiff, changes));
  }
}

type Things = Record<string, Stamp<unknown>>;

/** The server's things, each with a clock right after the client's where the client's would win. */
function corrections(theirs: Things, own: Things = {}): Things {
  return mapped(theirs, ([thing, hlc = ""], id) => {
    const [ownThing, ownHlc = ""] = Object.hasOwn(own, id) ? own[id]! : [undefined];
    return hlc <= ownHlc || Object.is(thing, ownThing) ? undefined : [ownThing, after(hlc)];
  });
}

/** A record with other values; those that are `undefined` are left out. */
function mapped<T, U>(
  record: Record<string, T>,
  change: (value: T, id: string) => U | undefined,
): Record<string, U> {
  return recordOf(
    Object.entries(record).flatMap(([id, value]): [string, U][] => {
      const changed = change(value, id);
      return changed === undefined ? [] : [[id, changed]];
    }),
  );
}

/** A stamp of a record, unless there is nothing in it. */
function filled<T>(record: Record<string, T>): Stamp<Record<string, T>> | undefined {
  return isEmpty(record) ? undefined : [record];
}
