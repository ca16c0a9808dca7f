/**
 * What a store answers to the questions of TinyBase's protocol.
 *
 * @module
 */

import type { CellHashes, MergeableStore, RowHashes, TableHashes, ValueHashes } from "tinybase";
import { messageTypes, type SyncMessage } from "./messages.ts";

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
