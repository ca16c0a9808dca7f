/**
 * Publications that another service decides about.
 *
 * @module
 */

import type { MaybePromise } from "../../core/mod.ts";
import type { PublishChange, Publishing } from "./extensions.ts";
import { payloadFor } from "./payloads.ts";
import type { Published, PublishOptions } from "./publications.ts";

/** Publishes what was decided. */
type Publish = (publishing: Publishing, options: PublishOptions) => MaybePromise<Published>;

/** Waits for decisions, and keeps the order of the publications of one client to one channel. */
export class Decisions {
  readonly #publish: Publish;
  /** The last publication that waits, by client and channel; these promises never reject. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(publish: Publish) {
    this.#publish = publish;
  }

  /** Publishes with what the decision changes, after the earlier ones of the same client and channel. */
  next(
    publishing: Publishing,
    options: PublishOptions,
    decision: Promise<PublishChange | void>,
  ): Promise<Published> {
    const key = `${publishing.client?.id}\n${publishing.channel}`;
    const before = this.#last.get(key);
    decision.catch(() => {}); // It may reject while an earlier one waits.
    const decided = before === undefined ? decision : before.then(() => decision);
    const done = decided.then((change) => this.#publish(...changed(publishing, options, change ?? {})));
    const settled = done.then(() => {}, () => {}).then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    this.#last.set(key, settled);
    return done;
  }
}

function changed(
  publishing: Publishing,
  options: PublishOptions,
  { payload, options: more }: PublishChange,
): Parameters<Publish> {
  const { draft, namespace } = publishing;
  const all = { ...options, ...more };
  const decided = {
    ...draft,
    ...(payload !== undefined && { payload: payloadFor(namespace, payload) }),
    ...(all.tags !== undefined && { tags: all.tags }),
  };
  return [{ ...publishing, draft: decided }, all];
}
