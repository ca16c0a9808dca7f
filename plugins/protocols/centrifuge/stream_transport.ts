import { Buffer } from "node:buffer";
import type { Clock, Message, Transport } from "../../../core/mod.ts";
import type { StreamFraming } from "./codec.ts";

/** A transport and the body it writes to. */
export interface StreamTransport extends Transport {
  readonly body: ReadableStream<Uint8Array>;
}

/** What a stream needs to know. */
export interface StreamTransportOptions {
  readonly framing: StreamFraming;
  readonly clock: Clock;
  /** Encodes the last message, which tells the client why the stream ends. */
  disconnect(code: number, reason: string): Message;
  /** Called once, when nothing more can be sent; `byClient` if the client left. */
  ended(byClient: boolean): void;
}

/** Waiting frames are sent together, up to this many bytes. */
const CHUNK_BYTES = 65_536;

/** How long a reader may take to fetch the rest after the end. */
const LINGER_MS = 5_000;

/** Makes the transport. */
export function streamTransport(
  { framing, clock, disconnect, ended }: StreamTransportOptions,
): StreamTransport {
  // A queue outside of the stream, because it can be measured and dropped.
  let queue: Uint8Array<ArrayBuffer>[] = framing.preamble.length > 0 ? [framing.preamble] : [];
  let queued = framing.preamble.length;
  /** Bytes of the latest chunk, until the runtime asks for the next. */
  let inFlight = 0;
  let wanted = false;
  let state: "open" | "ending" | "ended" = "open";
  let controller: ReadableStreamDefaultController<Uint8Array>;
  let stopLingering = () => {};

  /** Passes the next chunk to the runtime if it asked for one. Older SDKs need whole frames. */
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
    return count === 1 ? parts[0]! : Buffer.concat(parts, size);
  }

  function end(byClient: boolean): void {
    state = "ended";
    stopLingering();
    queue = [];
    queued = 0;
    inFlight = 0;
    if (!byClient) controller.close();
    ended(byClient);
  }

  function send(frame: Message): void {
    if (state !== "open") return;
    const bytes = framing.encode(frame);
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
      send(disconnect(code, reason));
      if (state !== "open") return;
      state = "ending";
      stopLingering = clock.after(LINGER_MS, () => end(false));
      pump();
    },
  };
}
