/**
 * Reading a request's body, within bounds.
 *
 * @module
 */

import { type Clock, PlugboardError } from "../../core/mod.ts";

/** How much a body may be, and how long it may take. */
export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * The body as text. Throws `too_large` beyond the limit, `timeout` if it does not come in time, and `bad_request` if
 * its sender went before the end.
 */
export async function readText(
  { body }: Pick<Request, "body">,
  { maxBytes, timeoutMs, clock }: BodyLimits,
): Promise<string> {
  if (body === null) return "";
  const reader = body.getReader();
  let late = false;
  const cancel = clock.after(timeoutMs, () => {
    late = true;
    // The request's sender may be gone; there is nobody to tell then.
    reader.cancel().catch(() => {});
  });
  try {
    const decoder = new TextDecoder();
    let text = "";
    let bytes = 0;
    for (let part = await next(reader); !part.done; part = await next(reader)) {
      bytes += part.value.length;
      if (bytes > maxBytes) {
        reader.cancel().catch(() => {});
        throw new PlugboardError("too_large", `The body is longer than ${maxBytes} bytes`);
      }
      text += decoder.decode(part.value, { stream: true });
    }
    if (late) throw new PlugboardError("timeout", `The body did not come within ${timeoutMs} ms`);
    return text + decoder.decode();
  } finally {
    cancel();
  }
}

async function next<Part>(
  reader: ReadableStreamDefaultReader<Part>,
): Promise<ReadableStreamReadResult<Part>> {
  try {
    return await reader.read();
  } catch (cause) {
    throw new PlugboardError("bad_request", "The body did not come to its end", { cause });
  }
}
