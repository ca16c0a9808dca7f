/**
 * What a store answers to the questions of TinyBase's protocol.
 *
 * @module
 */

import type { CellHashes, MergeableStore, RowHashes, TableHashes, ValueHashes } from "tinybase";
import { messageTypes, type SyncMessage } from "./messages.ts";
import type { Content } from "./parts.ts";
import { isEmpty } from "./records.ts";

/** The answer to a question; `undefined` for a message that is none. */
export function answerTo({ type, body }: SyncMessage, store: MergeableStore): unknown {
  switch (type) {
    case messageTypes.getContentHashes:
      return store.getMergeableContentHashes();
    case messageTypes.getTableDiff:
      return store.getMergeableTableDiff(body as TableHashes);
    case messageTypes.getRowDiff:
      return store.getMergeableRowDiff(body as RowHashes);
    case messageTypes.getCellDiff:
      return store.getMergeableCellDiff(body as CellHashes);
    case messageTypes.getValueDiff:
      return store.getMergeableValueDiff(body as ValueHashes);
  }
}

/**
 * The answer that stored content has to the questions of a client that has nothing, before it is merged into a store:
 * of 10,000 rows that takes 200 ms, while the client can be busy with merging them, too. `undefined` for all others.
 */
export function earlyAnswerTo({ type, body }: SyncMessage, { hashes, changes }: Content): unknown {
  const [tables, values] = changes;
  switch (type) {
    case messageTypes.getContentHashes:
      return hashes;
    case messageTypes.getTableDiff:
      return isEmpty(body as TableHashes) ? [tables, {}] : undefined;
    case messageTypes.getValueDiff:
      return isEmpty(body as ValueHashes) ? values : undefined;
  }
}
