/**
 * Frames: values between two processes over a pipe, each a length in four bytes and then its bytes.
 *
 * Both functions are also used as text, in a program that has nothing else; so they refer to nothing outside of them.
 *
 * @module
 */

/** The bytes of a frame. */
export function frame(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(body, 4);
  return bytes;
}

/** The bodies of the frames in a stream; what is cut off at its end is left out. */
export async function* framesIn(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let size = 0;
  let wanted = 4;
  for await (const chunk of stream) {
    waiting.push(chunk);
    size += chunk.length;
    if (size < wanted) continue; // nothing is put together before it is whole
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const each of waiting) {
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
    waiting = [bytes.subarray(at)];
    size -= at;
  }
}
