import type { CellHashes, MergeableStore, RowHashes, TableHashes, ValueHashes } from "tinybase";
import { messageTypes, type SyncMessage } from "./messages.ts";
import type { Content } from "./parts.ts";
import { isEmpty } from "../../shared/records.ts";

/** Returns the response to a request; `undefined` if the message is not a request. */
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
 * Returns the response to a client with an empty store, from stored content that is not merged into a store yet;
 * `undefined` for other clients. Merging 10,000 rows takes 200 ms, and this way the client merges at the same time.
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
