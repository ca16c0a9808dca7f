/**
 * Callbacks of this process run in a later turn, after the clients have been sent to: a slow or failing callback does not
 * affect them.
 *
 * @module
 */

import type { Publication } from "./publications.ts";
import type { ChannelCallback } from "./service.ts";

/** Calls callbacks, in the order of the publications. */
export interface CallbackQueue {
  /** Adds a call of each callback. */
  add(channel: string, callbacks: Iterable<ChannelCallback>, publication: Publication): void;
  /** Drops the pending calls. */
  stop(): void;
}

/** Creates the queue. The promise of a callback is not awaited; its rejection is logged. */
export function callbackQueue(onError: (what: string, error: unknown) => void): CallbackQueue {
  let queue: { channel: string; callback: ChannelCallback; publication: Publication }[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  function call(): void {
    timer = undefined;
    const due = queue;
    queue = [];
    for (const { channel, callback, publication } of due) {
      try {
        // Each callback gets a value of its own, which it may change.
        const returned = callback(publication.payload.value(), { ...publication, channel });
        if (returned instanceof Promise) returned.catch((error) => failed(channel, error));
      } catch (error) {
        failed(channel, error);
      }
    }
  }

  function failed(channel: string, error: unknown): void {
    onError(`a callback for ${channel}`, error);
  }

  return {
    add(channel, callbacks, publication) {
      for (const callback of callbacks) queue.push({ channel, callback, publication });
      timer ??= setTimeout(call, 0);
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
      queue = [];
    },
  };
}
