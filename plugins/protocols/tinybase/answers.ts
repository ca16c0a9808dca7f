import type { Clock } from "../../../core/mod.ts";
import type { CellHashes, MergeableStore, RowHashes, TableHashes, ValueHashes } from "tinybase";
import { encodeBody, messageTypes, type SyncMessage } from "./messages.ts";
import { isEmpty } from "../../shared/records.ts";
import type { StoredContent } from "./stored_content.ts";

/** A longer request is not remembered with its answer. */
const MAX_REQUEST_CHARS = 4_096;

/** How long an answer is remembered. It may be as large as the store. */
const MAX_AGE_MS = 5_000;

/** Answers requests. The latest answer is remembered, because 14 bytes can ask for the content of the whole store. */
export class Answers {
  readonly #clock: Clock;
  #latest: { readonly request: string; readonly answer: string } | undefined;
  #cancel = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns the encoded response to a request; `undefined` if the message is not a request. */
  to(message: SyncMessage, length: number, store: MergeableStore): string | undefined {
    if (length > MAX_REQUEST_CHARS) return encodeAnswer(message, store);
    const request = JSON.stringify([message.type, message.body]);
    if (this.#latest?.request === request) return this.#latest.answer;
    const answer = encodeAnswer(message, store);
    if (answer === undefined) return undefined;
    this.forget();
    this.#latest = { request, answer };
    this.#cancel = this.#clock.after(MAX_AGE_MS, () => this.forget());
    return answer;
  }

  /** Forgets the answer, because the store has changed. */
  forget(): void {
    this.#cancel();
    this.#latest = undefined;
  }
}

function encodeAnswer(message: SyncMessage, store: MergeableStore): string | undefined {
  const answer = answerTo(message, store);
  return answer === undefined ? undefined : encodeBody(answer);
}

/** Returns the response to a request; `undefined` if the message is not a request. */
function answerTo({ type, body }: SyncMessage, store: MergeableStore): unknown {
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
 * Returns the encoded response to a client with an empty store, from stored content that is not merged into a store yet;
 * `undefined` for other clients. Merging 10,000 rows takes 500 ms, and this way the client merges at the same time.
 */
export function earlyAnswerTo({ type, body }: SyncMessage, content: StoredContent): string | undefined {
  if (type === messageTypes.getContentHashes) return content.hashes && encodeBody(content.hashes);
  if (!content.complete || !isEmpty(body as TableHashes | ValueHashes)) return undefined;
  if (type === messageTypes.getTableDiff) return `[${content.encodedTables},{}]`;
  if (type === messageTypes.getValueDiff) return content.encodedValues;
}
