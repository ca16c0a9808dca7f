/** Many WebSocket clients in one thread. */

import type { Dialogue } from "../types.ts";
import { bytesOf, dataFrame, eachStamp, pongFrame } from "./frames.ts";
import { close, connect, inbound, Poller, receive, send } from "./libc.ts";

/** Maximum concurrent connects. The accept queue of a server is short. */
const CONNECTING_AT_ONCE = 64;
const CONNECT_MS = 20_000;

type State = "handshake" | "greeting" | "ready" | "closed";

interface Client {
  readonly fd: number;
  state: State;
  /** The beginning of an incomplete frame. */
  rest: Uint8Array | undefined;
}

/** Called for a delivery: when it was sent, by which client, and when it arrived, in microseconds. */
export type Heard = (sentAt: number, sender: number, now: number) => void;

/** Returns the time of this process in microseconds. */
export const micros = (): number => Math.round(performance.now() * 1000);

/** Opens connections, sends and receives. */
export class Swarm {
  readonly #poller = new Poller();
  readonly #dialogue: Dialogue;
  readonly #clients: Client[] = [];
  readonly #ping: Uint8Array | undefined;
  readonly #pong: Uint8Array | undefined;
  readonly #found: (sentAt: number, sender: number) => void;
  #now = 0;
  /** Receives the stamps found. */
  heard: Heard = () => {};
  closed = 0;

  constructor(dialogue: Dialogue) {
    this.#dialogue = dialogue;
    this.#ping = dialogue.ping && bytesOf(dialogue.ping.frame);
    this.#pong = dialogue.ping && dataFrame(dialogue.ping.answer, dialogue.binary);
    this.#found = (sentAt, sender) => this.heard(sentAt, sender, this.#now);
  }

  /** Whether it sends binary frames. */
  get binary(): boolean {
    return this.#dialogue.binary ?? false;
  }

  get size(): number {
    return this.#clients.length;
  }

  /** Opens `count` more connections and waits until all are ready. */
  open(port: number, count: number): void {
    const last = this.#clients.length + count;
    while (this.#clients.length < last) {
      const first = this.#clients.length;
      for (let i = first; i < Math.min(first + CONNECTING_AT_ONCE, last); i++) this.#connect(port, i);
      this.#awaitReady(first);
    }
  }

  /** Waits up to `ms` for data and handles it, of at most `most` clients. */
  poll(ms: number, most = Infinity): void {
    this.#poller.wait(ms, most, (index, broken) => this.#read(index, broken));
  }

  /** Sends a frame from one client. */
  send(index: number, frame: Uint8Array): void {
    if (!send(this.#clients[index]!.fd, frame as Uint8Array<ArrayBuffer>)) this.#drop(this.#clients[index]!);
  }

  /** Closes all connections. */
  close(): void {
    for (const client of this.#clients) this.#drop(client);
  }

  #connect(port: number, index: number): void {
    const fd = connect(port, index);
    this.#clients.push({ fd, state: "handshake", rest: undefined });
    this.#poller.add(fd, index);
    const head = `GET ${this.#dialogue.path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\n` +
      `Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`;
    this.send(index, new TextEncoder().encode(head));
  }

  #awaitReady(first: number): void {
    const deadline = performance.now() + CONNECT_MS;
    for (let i = first; i < this.#clients.length; i++) {
      const client = this.#clients[i]!;
      while (client.state === "handshake" || client.state === "greeting") {
        if (performance.now() > deadline) {
          throw new Error(`Connection ${i} was not ready in ${CONNECT_MS} ms`);
        }
        this.poll(10);
      }
      if (client.state === "closed") throw new Error(`Connection ${i} was refused or closed`);
    }
  }

  #read(index: number, broken: boolean): void {
    const client = this.#clients[index]!;
    if (client.state === "closed") return;
    const kept = client.rest?.length ?? 0;
    if (client.rest !== undefined) inbound.set(client.rest);
    const size = receive(client.fd, kept);
    if (size === 0 || size < 0 && broken) return this.#drop(client);
    if (size < 0) return;
    this.#now = micros();
    const end = kept + size;
    const start = client.state === "handshake" ? this.#handshake(client, index, end) : 0;
    const parsed = start < 0 ? 0 : this.#frames(client, start, end);
    client.rest = parsed < end ? inbound.slice(parsed, end) : undefined;
  }

  /** Returns where the frames begin, or -1 if the response is incomplete. */
  #handshake(client: Client, index: number, end: number): number {
    const text = new TextDecoder("latin1").decode(inbound.subarray(0, end));
    const headEnd = text.indexOf("\r\n\r\n");
    if (headEnd < 0) return -1;
    if (!text.startsWith("HTTP/1.1 101")) {
      throw new Error(`Refused: ${text.slice(0, headEnd).split("\r\n")[0]}`);
    }
    const { hello = [], ready, binary } = this.#dialogue;
    client.state = ready === undefined ? "ready" : "greeting";
    for (const words of hello) this.send(index, dataFrame(words.replaceAll("$i", String(index)), binary));
    return headEnd + 4;
  }

  /** Handles the complete frames. Returns where the incomplete one begins. */
  #frames(client: Client, start: number, end: number): number {
    let at = start;
    while (end - at >= 2) {
      let length = inbound[at + 1]! & 127;
      let head = 2;
      if (length === 126) {
        head = 4;
        if (end - at < head) break;
        length = inbound[at + 2]! << 8 | inbound[at + 3]!;
      } else if (length === 127) {
        head = 10;
        if (end - at < head) break;
        length = new DataView(inbound.buffer).getUint32(at + 6); // the low half of the eight bytes
      }
      const payload = at + head;
      if (payload + length > end) break;
      this.#frame(client, inbound[at]! & 15, payload, payload + length);
      at = payload + length;
    }
    return at;
  }

  #frame(client: Client, opcode: number, from: number, to: number): void {
    if (opcode === 8) return this.#drop(client);
    if (opcode === 9) return void this.#answer(client, pongFrame(inbound.slice(from, to)));
    if (this.#ping !== undefined && isSame(this.#ping, from, to)) {
      return void this.#answer(client, this.#pong!);
    }
    if (client.state === "greeting") {
      const text = new TextDecoder().decode(inbound.subarray(from, to));
      if (text.includes(this.#dialogue.ready!)) client.state = "ready";
    }
    eachStamp(inbound, from, to, this.#found);
  }

  #answer(client: Client, frame: Uint8Array): void {
    if (!send(client.fd, frame as Uint8Array<ArrayBuffer>)) this.#drop(client);
  }

  #drop(client: Client): void {
    if (client.state === "closed") return;
    client.state = "closed";
    this.closed++;
    close(client.fd); // also removes it from the poller
  }
}

function isSame(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from !== bytes.length) return false;
  for (let i = 0; i < bytes.length; i++) if (inbound[from + i] !== bytes[i]) return false;
  return true;
}
