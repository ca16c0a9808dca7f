/**
 * Frames of values that two processes exchange over a pipe: a length in four bytes, then that many bytes.
 *
 * Both functions also run as source text in another process, so they use nothing outside of themselves.
 *
 * @module
 */

/** Makes the frame of a body. */
export function frame(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(body, 4);
  return bytes;
}

/** Yields the bodies of the frames in a stream; drops an incomplete last one. */
export async function* framesIn(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunks: Uint8Array[] = [];
  let size = 0;
  let wanted = 4;
  for await (const chunk of stream) {
    chunks.push(chunk);
    size += chunk.length;
    if (size < wanted) continue; // concatenates only when a frame is complete
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const each of chunks) {
      bytes.set(each, at);
      at += each.length;
    }
    at = 0;
    wanted = 4;
    while (size - at >= 4) {
      const length = new DataView(bytes.buffer, at).getUint32(0);
      wanted = 4 + length;
      if (size - at < wanted) break;
      yield bytes.subarray(at + 4, at + wanted);
      at += wanted;
      wanted = 4;
    }
    chunks = [bytes.subarray(at)];
    size -= at;
  }
}
