/**
 * Reads the body of a request or a response, within bounds: of size, to protect the memory, and of time, because a
 * slow sender occupies a place.
 *
 * @module
 */

import { Buffer } from "node:buffer";
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
export async function readText(request: Pick<Request, "body">, limits: BodyLimits): Promise<string> {
  const bytes = await readBytes(request, limits);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new PlugboardError("bad_request", "The body is not UTF-8", { cause });
  }
}

/** Returns the body as bytes. Throws `too_large`, `timeout`, or `bad_request` if the sender disconnects. */
export async function readBytes(
  { body }: Pick<Request, "body">,
  { maxBytes, timeoutMs, clock }: BodyLimits,
): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  const stop = () => void reader.cancel().catch(() => {}); // fails if the sender has disconnected
  let late = false;
  const cancelTimeout = clock.after(timeoutMs, () => {
    late = true;
    stop();
  });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.length;
      if (bytes > maxBytes) {
        throw new PlugboardError("too_large", `The body is longer than ${maxBytes} bytes`);
      }
      parts.push(part.value);
    }
    if (late) throw new PlugboardError("timeout", `The body did not arrive within ${timeoutMs} ms`);
    return Buffer.concat(parts, bytes);
  } catch (cause) {
    stop();
    if (cause instanceof PlugboardError) throw cause;
    throw new PlugboardError("bad_request", "The body is incomplete", { cause });
  } finally {
    cancelTimeout();
  }
}
