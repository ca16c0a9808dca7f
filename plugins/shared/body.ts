/**
 * Reads the body of a request or a response, within bounds: of size, to protect the memory, and of time, because a
 * slow sender occupies a place.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type Clock, type HttpErrorHints, PlugboardError } from "../../core/mod.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Limits of a body. */
export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, "after">;
}

/**
 * Returns the body as text. Throws `too_large`, `timeout`, or `bad_request` if the sender disconnects before the end
 * or the body is not UTF-8.
 */
export async function readText(request: Pick<Request, "body">, limits: BodyLimits): Promise<string> {
  const bytes = await readBytes(request, limits);
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new PlugboardError("bad_request", "The body is not UTF-8", { cause });
  }
}

/** Returns the body as bytes. Throws `too_large`, `timeout`, or `bad_request` if the sender disconnects. */
export async function readBytes(from: Pick<Request, "body">, limits: BodyLimits): Promise<Uint8Array> {
  const length = from instanceof Request ? from.headers.get("content-length") : null;
  if (length === null || Number(length) > limits.maxBytes) return await readStream(from, limits);
  return await readWhole(from as Request, limits);
}

/** Reads a request of known length, which the runtime enforces. It takes half the time of a stream. */
async function readWhole(request: Request, { timeoutMs, clock }: BodyLimits): Promise<Uint8Array> {
  const { promise, reject } = Promise.withResolvers<never>();
  const cancelTimeout = clock.after(timeoutMs, () => reject(late(timeoutMs)));
  try {
    return await Promise.race([request.bytes(), promise]);
  } catch (cause) {
    throw cause instanceof PlugboardError ? cause : incomplete(cause);
  } finally {
    cancelTimeout();
  }
}

async function readStream(
  { body }: Pick<Request, "body">,
  { maxBytes, timeoutMs, clock }: BodyLimits,
): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  const stop = () => void reader.cancel().catch(() => {}); // fails if the sender has disconnected
  let isLate = false;
  const cancelTimeout = clock.after(timeoutMs, () => {
    isLate = true;
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
    if (isLate) throw late(timeoutMs);
    return Buffer.concat(parts, bytes);
  } catch (cause) {
    stop();
    if (cause instanceof PlugboardError) throw cause;
    throw incomplete(cause);
  } finally {
    cancelTimeout();
  }
}

/** Here the sender took too long, so the status is not that of other timeouts. */
function late(timeoutMs: number): PlugboardError & HttpErrorHints {
  const error = new PlugboardError("timeout", `The body did not arrive within ${timeoutMs} ms`);
  return Object.assign(error, { status: 408 });
}

function incomplete(cause: unknown): PlugboardError {
  return new PlugboardError("bad_request", "The body is incomplete", { cause });
}
