import type { Message, Transport } from "../../core/mod.ts";

/** A transport that records its frames. */
export class FakeTransport implements Transport {
  readonly frames: Message[] = [];
  /** Set by tests. */
  buffered = 0;
  /** The number of pings. */
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
