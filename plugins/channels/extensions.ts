/**
 * What other plugins add to channels, called so that a failing one harms nobody.
 *
 * @module
 */

import type { MaybePromise } from "../../core/mod.ts";
import type { ChannelExtension, Client, Draft, SubscribeAddition, SubscribeRequest } from "./types.ts";

/** Told what failed, and how. */
export type OnFailure = (what: string, error: unknown) => void;

/** The extensions of the channels. */
export class Extensions {
  readonly #all = new Set<ChannelExtension>();
  readonly #failed: OnFailure;

  constructor(failed: OnFailure) {
    this.#failed = failed;
  }

  /** Adds one; gives the function that removes it. */
  add(extension: ChannelExtension): () => void {
    this.#all.add(extension);
    return () => void this.#all.delete(extension);
  }

  /** Asks everybody; the first that throws refuses the subscription. */
  async beforeSubscribe(
    client: Client,
    channel: string,
    request: SubscribeRequest,
  ): Promise<SubscribeAddition | undefined> {
    let addition: SubscribeAddition | undefined;
    for (const extension of this.#all) {
      const added = extension.beforeSubscribe?.(client, channel, request);
      addition = (added instanceof Promise ? await added : added) ?? addition;
    }
    return addition;
  }

  /** Asks everybody; the first that throws refuses the publication. */
  beforePublish(channel: string, draft: Draft, client: Client | undefined): void {
    for (const extension of this.#all) extension.beforePublish?.(channel, draft, client);
  }

  /** Asks everybody; the first that throws refuses the reading. */
  beforeRead(client: Client, action: "history" | "presence", channel: string): void {
    for (const extension of this.#all) extension.beforeRead?.(client, action, channel);
  }

  /** Calls a hook of everybody who has it. */
  tell(hook: keyof ChannelExtension, call: (extension: ChannelExtension) => void): void {
    for (const extension of this.#all) {
      if (extension[hook] === undefined) continue;
      try {
        call(extension);
      } catch (error) {
        this.#failed(`${hook} of ${extension.name}`, error);
      }
    }
  }
}

/** Goes on without waiting; a failure is told. */
export function inBackground(what: string, failed: OnFailure, work: () => MaybePromise<unknown>): void {
  try {
    const promise = work();
    if (promise instanceof Promise) promise.catch((error) => failed(what, error));
  } catch (error) {
    failed(what, error);
  }
}
