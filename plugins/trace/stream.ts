/**
 * What happens, as an HTTP answer that goes on.
 *
 * @module
 */

import type { Followers, FollowEvent, FollowTarget } from "./follow.ts";

/** Events that may wait for a reader; what happens meanwhile is counted and left out. */
const MAX_WAITING = 1_000;

/** What stands above the lines. */
export const STREAM_HEADERS = { "content-type": "application/x-ndjson", "cache-control": "no-store" };

/** Answers with a line of JSON for each event, until the reader goes or `end` is called; then `ended` is. */
export function followStream(
  followers: Pick<Followers, "add">,
  target: FollowTarget,
  ended: () => void,
): { response: Response; end: () => void } {
  const encoder = new TextEncoder();
  let open = true;
  let unfollow = () => {};
  let close = () => {};
  let leftOut = 0;

  function finish(): void {
    open = false;
    unfollow();
    ended();
  }

  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const line = (value: unknown) => controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
      close = () => controller.close();
      line({ following: target });
      unfollow = followers.add(target, (event: FollowEvent) => {
        if (controller.desiredSize! <= 0) {
          leftOut++;
          return;
        }
        if (leftOut > 0) line({ leftOut });
        leftOut = 0;
        line(event);
      });
    },
    cancel: finish,
  }, { highWaterMark: MAX_WAITING });

  return {
    response: new Response(body, { headers: STREAM_HEADERS }),
    end() {
      if (!open) return;
      finish();
      close();
    },
  };
}
