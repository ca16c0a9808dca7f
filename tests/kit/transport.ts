import type { Message, Transport } from "../../core/mod.ts";

/** A transport that keeps what it is given. */
export class FakeTransport implements Transport {
  readonly frames: Message[] = [];
  /** What the network has not taken; tests set it. */
  buffered = 0;
  /** How often it was asked for a sign of life. */
  pings = 0;
  closed: { code: number; reason: string } | undefined;
  onClose = () => {};

  send(frame: Message): void {
    this.frames.push(frame);
  }

  close(code: number, reason: string): void {
    this.closed = { code, reason };
    this.onClose();
  }

  ping(): boolean {
    this.pings++;
    return true;
  }
}
