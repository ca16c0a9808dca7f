/**
 * Callbacks of this process, kept apart from the clients: they are called in a later turn, when the sockets have
 * been written, so that a slow one delays nobody and a throwing one harms nobody.
 *
 * @module
 */

import type { Publication } from "./publications.ts";
import type { ChannelCallback } from "./service.ts";

/** Calls callbacks, in the order of the publications. */
export interface CallbackQueue {
  /** Has the callbacks called with a publication. */
  add(channel: string, callbacks: Iterable<ChannelCallback>, publication: Publication): void;
  /** Forgets what was not called yet. */
  stop(): void;
}

/** Makes the queue. A callback's promise is not awaited; its rejection is logged. */
export function callbackQueue(onError: (what: string, error: unknown) => void): CallbackQueue {
  let queue: { channel: string; callback: ChannelCallback; publication: Publication }[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  function call(): void {
    timer = undefined;
    const due = queue;
    queue = [];
    for (const { channel, callback, publication } of due) {
      try {
        // Parsed for each anew: what one callback does to its value is no concern of the next.
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
