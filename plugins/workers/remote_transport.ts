import type { Admission, CloseCode, Message, Transport, TransportEvents } from "../../core/mod.ts";
import type { Link, Receiver } from "./link.ts";

/** A connection whose socket is in a worker: its transport, and where its messages go. */
export class RemoteTransport implements Transport, Receiver {
  readonly queues = true;
  readonly number: number;
  readonly outlet: Link;
  readonly release: () => void;
  group = 0;
  /** What the worker's reports are passed to, when the socket is open. */
  incoming: TransportEvents | undefined;
  /** Bytes that wait for the reader in the worker, as it reported. */
  queued = 0;
  /** Until it is open. It refers to the whole request. */
  #admission: Admission | undefined;
  /** The last two posts with frames of this connection, and their bytes with those of earlier posts. */
  #earlierPost = 0;
  #earlierBytes = 0;
  #latestPost = 0;
  #latestBytes = 0;

  constructor(number: number, link: Link, admission: Admission) {
    this.number = number;
    this.release = admission.release;
    this.#admission = admission;
    this.outlet = link;
  }

  /** Opens the connection: its socket is open. */
  open(): void {
    const admission = this.#admission;
    this.#admission = undefined;
    this.incoming = admission?.open(this).incoming;
  }

  /** What the worker has not taken, which is an upper bound, and what it has told. */
  get buffered(): number {
    const { done } = this.outlet;
    if (done >= this.#latestPost) return this.queued;
    return this.queued + this.#latestBytes + (done >= this.#earlierPost ? 0 : this.#earlierBytes);
  }

  send(frame: Message): void {
    this.sendAll([frame], frame.length);
  }

  sendAll(frames: readonly Message[], chars: number): void {
    const link = this.outlet;
    if (this.#latestPost !== link.next) this.#begin(link.done, link.next);
    this.#latestBytes += chars;
    link.send(this, frames, chars);
  }

  close(code: number, reason: string): void {
    const why: CloseCode = { code, reason };
    this.outlet.orderLast("close", this.number, why);
  }

  ping(): boolean {
    this.outlet.orderLast("ping", this.number, undefined);
    return true;
  }

  /** Counts from another post on. */
  #begin(done: number, post: number): void {
    if (done >= this.#earlierPost) {
      this.#earlierBytes = done >= this.#latestPost ? 0 : this.#latestBytes;
      this.#earlierPost = this.#latestPost;
      this.#latestBytes = 0;
    }
    this.#latestPost = post;
  }
}
