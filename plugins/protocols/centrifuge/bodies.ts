/**
 * Request bodies, read within bounds: of size, so that nobody fills the memory, and of time, so that nobody holds
 * a place by sending nothing.
 *
 * @module
 */

import { type Clock, refusal } from "../../../core/mod.ts";

/** How long a body may take. */
const BODY_MS = 10_000;

/** The body as text, or the response that refuses it. */
export async function readText(request: Request, maxBytes: number, clock: Clock): Promise<string | Response> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  let late = false;
  const reader = request.body?.getReader();
  const stopWaiting = clock.after(BODY_MS, () => {
    late = true;
    reader?.cancel().catch(() => {}); // a client that has gone meanwhile
  });
  try {
    for (;;) {
      const { value, done = true } = await reader?.read() ?? {};
      if (done) break;
      size += value!.length;
      if (size > maxBytes) {
        await reader!.cancel();
        return refusal(413, "too_large", `The body has more than ${maxBytes} bytes`);
      }
      chunks.push(value!);
    }
    if (late) return refusal(408, "timeout", "The body took too long");
    return new TextDecoder("utf-8", { fatal: true }).decode(joined(chunks, size));
  } catch {
    return refusal(400, "bad_request", "The body is no text, or did not come to its end");
  } finally {
    stopWaiting();
  }
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
