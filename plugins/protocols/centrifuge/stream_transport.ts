/**
 * A response body that never ends, as a transport: what the server has to say over HTTP streaming and SSE.
 *
 * @module
 */

import type { Clock, Message, Transport } from "../../../core/mod.ts";
import { disconnectPush } from "./encoding.ts";

/** How one way of streaming writes. */
export interface StreamFormat {
  /** What comes before the first frame. */
  readonly preamble: Uint8Array<ArrayBuffer>;
  /** Encodes a frame, so that a reader finds its end. */
  encode(frame: string): Uint8Array<ArrayBuffer>;
}

/** A transport and the body it writes to. */
export interface StreamTransport extends Transport {
  readonly body: ReadableStream<Uint8Array>;
}

/** Frames that wait together leave together, up to this many bytes. */
const CHUNK_BYTES = 65_536;

/** How long a reader has after the end to fetch what was sent before. Then it is thrown away. */
const LINGER_MS = 5_000;

/**
 * Frames on one connection's stream: text, each with its end marked. Many connections get the same frame one after
 * the other, so the latest is remembered in its bytes.
 */
export function streamFormat(preamble: string, before: string, after: string): StreamFormat {
  const encoder = new TextEncoder();
  let last = "";
  let bytes = encoder.encode(before + after);
  return {
    preamble: encoder.encode(preamble),
    encode(frame) {
      if (frame !== last) {
        bytes = encoder.encode(before + frame + after);
        last = frame;
      }
      return bytes;
    },
  };
}

/** Makes the transport. `gone` is called once, when nothing can be sent any more: `true` if the client left. */
export function streamTransport(
  format: StreamFormat,
  clock: Clock,
  gone: (byClient: boolean) => void,
): StreamTransport {
  // A queue of our own rather than the stream's: it can be measured, and thrown away.
  let queue: Uint8Array<ArrayBuffer>[] = format.preamble.length > 0 ? [format.preamble] : [];
  let queued = format.preamble.length;
  /** Bytes the runtime has taken and not asked beyond. */
  let inFlight = 0;
  let wanted = false;
  let state: "open" | "ending" | "ended" = "open";
  let controller: ReadableStreamDefaultController<Uint8Array>;
  let stopLingering = () => {};

  /** Gives the runtime the next chunk if it asked for one; whole frames only, which older SDKs rely on. */
  function pump(): void {
    if (!wanted || state === "ended") return;
    if (queue.length > 0) {
      wanted = false;
      const chunk = takeChunk();
      inFlight = chunk.length;
      controller.enqueue(chunk);
    } else if (state === "ending") end(false);
  }

  function takeChunk(): Uint8Array<ArrayBuffer> {
    let count = 1;
    let size = queue[0]!.length;
    while (count < queue.length && size + queue[count]!.length <= CHUNK_BYTES) size += queue[count++]!.length;
    queued -= size;
    const parts = queue.splice(0, count);
    if (count === 1) return parts[0]!;
    const chunk = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      chunk.set(part, at);
      at += part.length;
    }
    return chunk;
  }

  function end(byClient: boolean): void {
    state = "ended";
    stopLingering();
    queue = [];
    queued = 0;
    inFlight = 0;
    if (!byClient) controller.close();
    gone(byClient);
  }

  function send(frame: Message): void {
    if (state !== "open") return;
    const bytes = format.encode(frame as string);
    queue.push(bytes);
    queued += bytes.length;
    pump();
  }

  return {
    body: new ReadableStream<Uint8Array>({
      start(given) {
        controller = given;
      },
      pull() {
        inFlight = 0;
        wanted = true;
        pump();
      },
      cancel() {
        if (state !== "ended") end(true);
      },
    }, { highWaterMark: 0 }),
    get buffered() {
      return queued + inFlight;
    },
    send,
    close(code, reason) {
      if (state !== "open") return;
      send(disconnectPush(code, reason));
      if (state !== "open") return;
      state = "ending";
      stopLingering = clock.after(LINGER_MS, () => end(false));
      pump();
    },
  };
}
