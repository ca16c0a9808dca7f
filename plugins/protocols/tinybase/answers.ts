import type { Clock } from "../../../core/mod.ts";
import type { CellHashes, MergeableStore, RowHashes, TableHashes, ValueHashes } from "tinybase";
import { encodeBody, messageTypes, type SyncMessage } from "./messages.ts";
import { isEmpty } from "../../shared/records.ts";
import type { StoredContent } from "./stored_content.ts";

/** A longer request is not remembered with its answer. */
const MAX_REQUEST_CHARS = 4_096;

/** How long an answer is remembered. It may be as large as the store. */
const MAX_AGE_MS = 5_000;

/**
 * Answers requests. The latest answer of each kind is remembered, because 14 bytes can ask for the content of the whole
 * store, and clients that come back together ask for the same.
 */
export class Answers {
  readonly #clock: Clock;
  readonly #latest = new Map<number, { readonly request: string; readonly answer: string }>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns the encoded response to a request; `undefined` if the message is not a request. */
  to(message: SyncMessage, length: number, store: MergeableStore): string | undefined {
    const { type, body } = message;
    const encode = () => encodeAnswer(message, store);
    if (type === messageTypes.getContentHashes || length > MAX_REQUEST_CHARS) return encode();
    return this.#remembered(type, JSON.stringify(body), encode);
  }

  /** Returns the encoded response to a request of all tables or all values, from what is stored. */
  toAll(type: number, content: StoredContent): string {
    return this.#remembered(
      type,
      String(content.version),
      () => type === messageTypes.getTableDiff ? `[${content.encodedTables},{}]` : content.encodedValues,
    )!;
  }

  /** Forgets the answers, because the store has changed. */
  forget(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#latest.clear();
  }

  #remembered(type: number, request: string, encode: () => string | undefined): string | undefined {
    const latest = this.#latest.get(type);
    if (latest?.request === request) return latest.answer;
    const answer = encode();
    if (answer === undefined) return undefined;
    this.#latest.set(type, { request, answer });
    this.#cancel ??= this.#clock.after(MAX_AGE_MS, () => this.forget());
    return answer;
  }
}

/** Whether a client with an empty store requests all tables or all values. */
export function asksForAll({ type, body }: SyncMessage): boolean {
  const isDiff = type === messageTypes.getTableDiff || type === messageTypes.getValueDiff;
  return isDiff && isEmpty(body as TableHashes | ValueHashes);
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
