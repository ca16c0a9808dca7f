/**
 * Reading a request's body, within bounds.
 *
 * @module
 */

import { type Clock, PlugboardError } from "../../../core/mod.ts";

/** The body as text. Throws `too_large` beyond the limit, and `timeout` if it does not come in time. */
export async function readText(
  { body }: Request,
  { maxMessageBytes, readTimeoutMs, clock }: {
    maxMessageBytes: number;
    readTimeoutMs: number;
    clock: Clock;
  },
): Promise<string> {
  if (body === null) return "";
  const reader = body.getReader();
  let late = false;
  const cancel = clock.after(readTimeoutMs, () => {
    late = true;
    // The request's sender may be gone; there is nobody to tell then.
    reader.cancel().catch(() => {});
  });
  try {
    const decoder = new TextDecoder();
    let text = "";
    let bytes = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.length;
      if (bytes > maxMessageBytes) {
        reader.cancel().catch(() => {});
        throw new PlugboardError("too_large", `The body is longer than ${maxMessageBytes} bytes`);
      }
      text += decoder.decode(part.value, { stream: true });
    }
    if (late) throw new PlugboardError("timeout", `The body did not come within ${readTimeoutMs} ms`);
    return text + decoder.decode();
  } finally {
    cancel();
  }
}
