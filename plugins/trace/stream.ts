import type { Followers, FollowEvent, FollowTarget } from "./follow.ts";

/** Maximum queued events. Further ones are dropped and counted. */
const MAX_QUEUED = 1_000;

/** The headers of the response. */
export const STREAM_HEADERS = { "content-type": "application/x-ndjson", "cache-control": "no-store" };

/** Responds with a line of JSON per event until the client cancels or `end` is called; then calls `ended`. */
export function followStream(
  followers: Pick<Followers, "add">,
  target: FollowTarget,
  ended: () => void,
): { response: Response; end: () => void } {
  const encoder = new TextEncoder();
  let open = true;
  let unfollow = () => {};
  let close = () => {};
  let dropped = 0;

  function finish(): void {
    open = false;
    unfollow();
    ended();
  }

  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const write = (value: unknown) => controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
      close = () => controller.close();
      write({ following: target });
      unfollow = followers.add(target, (event: FollowEvent) => {
        if (controller.desiredSize! <= 0) {
          dropped++;
          return;
        }
        if (dropped > 0) write({ leftOut: dropped });
        dropped = 0;
        write(event);
      });
    },
    cancel: finish,
  }, { highWaterMark: MAX_QUEUED });

  return {
    response: new Response(body, { headers: STREAM_HEADERS }),
    end() {
      if (!open) return;
      finish();
      close();
    },
  };
}
