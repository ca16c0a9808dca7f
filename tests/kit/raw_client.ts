import { within } from "./wait.ts";

/**
 * A client on a TCP connection, for what a WebSocket object cannot do: stop reading, stay
 * silent, disappear without a close, send broken frames.
 */
export class RawClient implements Disposable {
  readonly tcp: Deno.TcpConn;
  /** Bytes after the response's head. */
  #rest: Uint8Array = new Uint8Array();

  private constructor(tcp: Deno.TcpConn) {
    this.tcp = tcp;
  }

  static async connect(port: number, hostname = "127.0.0.1"): Promise<RawClient> {
    return new RawClient(await Deno.connect({ port, hostname }));
  }

  /** Connects and upgrades. Returns the client, which has read only the head of the response. */
  static async upgrade(port: number, path: string, headers: Record<string, string> = {}): Promise<RawClient> {
    const client = await RawClient.connect(port);
    const head = await client.request(path, headers);
    if (!head.startsWith("HTTP/1.1 101")) {
      client[Symbol.dispose]();
      throw new Error(`The upgrade was refused: ${head.split("\r\n")[0]}`);
    }
    return client;
  }

  /** Sends an upgrade request and returns the head of the response. */
  async request(path: string, headers: Record<string, string> = {}): Promise<string> {
    const all = {
      host: "test",
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
      ...headers,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    await this.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`));
    let text = "";
    while (!text.includes("\r\n\r\n")) {
      const bytes = await this.read();
      if (bytes === null) break;
      text += new TextDecoder("latin1").decode(bytes);
    }
    const end = text.indexOf("\r\n\r\n") + 4;
    this.#rest = Uint8Array.from(text.slice(end), (char) => char.charCodeAt(0));
    return text.slice(0, end);
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.tcp.write(bytes.subarray(sent));
  }

  /** Sends one masked frame; opcode 1 is text, 2 binary, 8 close, 9 ping, 10 pong. */
  async frame(opcode: number, payload: string | Uint8Array = "", final = true): Promise<void> {
    const data = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    const length = data.length < 126
      ? [data.length]
      : data.length < 65_536
      ? [126, data.length >> 8, data.length & 255]
      : [
        127,
        0,
        0,
        0,
        0,
        data.length >>> 24,
        data.length >> 16 & 255,
        data.length >> 8 & 255,
        data.length & 255,
      ];
    // A mask of zeros does not change the payload.
    const head = [(final ? 128 : 0) | opcode, length[0]! | 128, ...length.slice(1), 0, 0, 0, 0];
    const frame = new Uint8Array(head.length + data.length);
    frame.set(head);
    frame.set(data, head.length);
    await this.write(frame);
  }

  /** Returns some bytes, or null at the end. */
  async read(): Promise<Uint8Array | null> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = new Uint8Array();
      return rest;
    }
    const buffer = new Uint8Array(65_536);
    const size = await within("reading", this.tcp.read(buffer));
    return size === null ? null : buffer.subarray(0, size);
  }

  /** Returns the payload of the next frame with this opcode. */
  async nextFrame(opcode: number): Promise<Uint8Array> {
    let bytes = new Uint8Array();
    for (;;) {
      const frame = parseFrame(bytes);
      if (frame !== undefined) {
        bytes = bytes.slice(frame.size);
        if (frame.opcode === opcode) {
          this.#rest = bytes;
          return frame.payload;
        }
        continue;
      }
      const more = await this.read();
      if (more === null) throw new Error(`The connection ended before a frame with opcode ${opcode}`);
      const both = new Uint8Array(bytes.length + more.length);
      both.set(bytes);
      both.set(more, bytes.length);
      bytes = both;
    }
  }

  /** Returns the code of the next close frame. */
  async closeCode(): Promise<number> {
    const payload = await this.nextFrame(8);
    return payload.length < 2 ? 1005 : payload[0]! << 8 | payload[1]!;
  }

  [Symbol.dispose](): void {
    try {
      this.tcp.close();
    } catch { /* already closed */ }
  }
}

function parseFrame(bytes: Uint8Array): { opcode: number; payload: Uint8Array; size: number } | undefined {
  if (bytes.length < 2) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let length = bytes[1]! & 127;
  let head = 2;
  if (length === 126) {
    if (bytes.length < 4) return;
    length = view.getUint16(2);
    head = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return;
    length = Number(view.getBigUint64(2));
    head = 10;
  }
  if (bytes.length < head + length) return;
  return { opcode: bytes[0]! & 15, payload: bytes.slice(head, head + length), size: head + length };
}
