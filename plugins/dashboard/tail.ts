/**
 * The tail: events of a channel, of a client, or of everything, in bounded batches.
 *
 * @module
 */

import type { Clock } from "../../core/mod.ts";
import type { FollowEvent, Trace } from "../trace.ts";
import { FEEDS, type Send } from "./feed.ts";

/** What to follow; everything without a field. */
export interface TailTarget {
  readonly client?: string;
  readonly channel?: string;
}

/** Events are collected for so long, so many and with so much text; further ones are counted. */
const BATCH_MS = 100;
const MAX_EVENTS = 100;
const MAX_CHARS = 200_000;

/** Follows the target. Returns the function that ends it. */
export function tail(
  target: TailTarget,
  send: Send,
  { trace, clock }: { readonly trace: Pick<Trace, "follow">; readonly clock: Clock },
): () => void {
  let events: FollowEvent[] = [];
  let chars = 0;
  let leftOut = 0;
  let cancel: (() => void) | undefined;

  function flush(): void {
    cancel = undefined;
    const batch = { events, ...(leftOut > 0 && { leftOut }) };
    [events, chars, leftOut] = [[], 0, 0];
    send(batch);
  }

  const end = trace.follow(target, (event) => {
    if (event.channel?.startsWith(FEEDS)) return; // their deliveries would cause further ones
    const { data } = event.detail;
    if (events.length < MAX_EVENTS && chars < MAX_CHARS) {
      events.push(event);
      if (typeof data === "string") chars += data.length;
    } else leftOut++;
    cancel ??= clock.after(BATCH_MS, flush);
  });
  return () => {
    end();
    cancel?.();
  };
}
