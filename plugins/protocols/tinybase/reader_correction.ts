import type { MergeableStore } from "tinybase";
import { ChangedKeys, stampsOf } from "./changed_keys.ts";
import { nextHlc } from "./hlc.ts";
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
import { isEmpty, isRecord, recordOf } from "../../shared/records.ts";

/**
 * Corrects the store of a client that may only read: its changes are replaced by the server's content.
 *
 * The client's store accepts the server's value because that is sent with the next clock after the one of the change.
 * The server's own clock does not change, and no other client receives the correction. Otherwise, a reader whose clock
 * is ahead could keep writers from changing a cell. For the same reason, the reader does not see changes by others that
 * are older than its own, until there is a newer one.
 */
export class ReaderCorrection {
  readonly #store: MergeableStore;
  readonly #send: (payload: string) => void;
  readonly #requests = new Map<string, number>();

  /** `send` sends to the client. */
  constructor(store: MergeableStore, send: (payload: string) => void) {
    this.#store = store;
    this.#send = send;
  }

  /** Handles changes, hashes and responses of the client. */
  message({ requestId, type, body }: SyncMessage): void {
    if (type === messageTypes.contentDiff) this.#correct(body as Changes);
    else if (type === messageTypes.contentHashes) this.compare(body);
    else if (type === messageTypes.response && requestId !== null) this.#response(requestId, body);
  }

  /** Requests the content that differs, unless requests are pending. */
  compare(hashes: unknown): void {
    if (this.#requests.size > 0 || !isHashes(hashes)) return;
    const [tablesHash, valuesHash] = hashes;
    const [ownTablesHash, ownValuesHash] = this.#store.getMergeableContentHashes();
    if (tablesHash !== ownTablesHash) {
      this.#request(messageTypes.getTableDiff, this.#store.getMergeableTableHashes());
    }
    if (valuesHash !== ownValuesHash) {
      this.#request(messageTypes.getValueDiff, this.#store.getMergeableValueHashes());
    }
  }

  #response(requestId: string, body: unknown): void {
    const type = this.#requests.get(requestId);
    this.#requests.delete(requestId);
    if (type === undefined || !Array.isArray(body)) return;
    if (type === messageTypes.getValueDiff) return this.#correct([[{}], body as ThingsStamp]);
    if (type === messageTypes.getCellDiff) return this.#correct([body as TablesStamp, [{}]]);
    const [tables, differing] = body as [TablesStamp, unknown];
    if (!Array.isArray(tables) || !isRecord(differing)) return;
    this.#correct([tables, [{}]]);
    if (isEmpty(differing)) return;
    if (type === messageTypes.getTableDiff) {
      const hashes = this.#store.getMergeableRowHashes(differing as Record<string, number>);
      this.#request(messageTypes.getRowDiff, hashes);
    } else {
      const rows = differing as Record<string, Record<string, number>>;
      this.#request(messageTypes.getCellDiff, this.#store.getMergeableCellHashes(rows));
    }
  }

  #request(type: number, body: unknown): void {
    const requestId = crypto.randomUUID();
    this.#requests.set(requestId, type);
    this.#send(encodeMessage(requestId, type, body));
  }

  #correct([[tables], [values]]: Changes): void {
    const keys = new ChangedKeys();
    keys.add(tables, values);
    const [[ownTables], [ownValues]] = stampsOf(this.#store, keys);
    const correctedTables = mapped(tables, ([rows], tableId) =>
      stampOf(mapped(rows, ([cells], rowId) => {
        return stampOf(corrections(cells, ownTables[tableId]?.[0][rowId]?.[0]));
      })));
    const correctedValues = corrections(values, ownValues);
    if (isEmpty(correctedTables) && isEmpty(correctedValues)) return;
    const changes: Changes = [[correctedTables], [correctedValues], 1];
    this.#send(encodeMessage(null, messageTypes.contentDiff, changes));
  }
}

/** Returns the server's cells or values for those that differ, with clocks that override the client's. */
function corrections(theirs: ThingsStamp[0], own: ThingsStamp[0] = {}): ThingsStamp[0] {
  return mapped(theirs, ([thing, hlc = ""], id) => {
    const [ownThing, ownHlc = ""] = Object.hasOwn(own, id) ? own[id]! : [undefined];
    return hlc <= ownHlc || Object.is(thing, ownThing) ? undefined : [ownThing, nextHlc(hlc)];
  });
}

/** Maps the values of a record; `undefined` removes one. */
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

/** Returns a stamp without a clock; `undefined` for an empty record. */
function stampOf<T>(record: Record<string, T>): Stamp<Record<string, T>> | undefined {
  return isEmpty(record) ? undefined : [record];
}
