/**
 * Reads the body of a request or a response, within bounds: of size, to protect the memory, and of time, because a
 * slow sender occupies a place.
 *
 * @module
 */

import { type Clock, PlugboardError } from "../../core/mod.ts";

/** Limits of a body. */
export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * Returns the body as text. Throws `too_large`, `timeout`, or `bad_request` if the sender disconnects before the end
 * or the body is not UTF-8.
 */
export async function readText(
  { body }: Pick<Request, "body">,
  { maxBytes, timeoutMs, clock }: BodyLimits,
): Promise<string> {
  if (body === null) return "";
  const reader = body.getReader();
  const stop = () => void reader.cancel().catch(() => {}); // fails if the sender has disconnected
  let late = false;
  const cancelTimeout = clock.after(timeoutMs, () => {
    late = true;
    stop();
  });
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.length;
      if (bytes > maxBytes) {
        throw new PlugboardError("too_large", `The body is longer than ${maxBytes} bytes`);
      }
      text += decoder.decode(part.value, { stream: true });
    }
    if (late) throw new PlugboardError("timeout", `The body did not arrive within ${timeoutMs} ms`);
    return text + decoder.decode();
  } catch (cause) {
    stop();
    if (cause instanceof PlugboardError) throw cause;
    throw new PlugboardError("bad_request", "The body is incomplete or not UTF-8", { cause });
  } finally {
    cancelTimeout();
  }
}
