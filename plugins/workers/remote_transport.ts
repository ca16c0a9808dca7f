import type {
  Admission,
  CloseCode,
  ConnectionLimits,
  Message,
  Transport,
  TransportEvents,
} from "../../core/mod.ts";
import { Backlog } from "../../core/connections/backlog.ts";
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
  /** Bytes that do not count: a frame that follows few others may be longer than the limit. */
  #excused = 0;
  readonly #limits: ConnectionLimits;

  constructor(number: number, link: Link, admission: Admission) {
    this.number = number;
    this.#limits = admission.limits;
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
    return this.queued + this.#unconfirmed;
  }

  send(frame: Message): void {
    this.sendAll([frame], frame.length);
  }

  sendAll(frames: readonly Message[], chars: number): boolean {
    const link = this.outlet;
    if (this.#latestPost !== link.next) this.#begin(link.done, link.next);
    this.#latestBytes += chars;
    const bytes = this.#earlierBytes + this.#latestBytes;
    if (bytes > this.#limits.maxQueuedBytes && !this.#fits(frames, chars)) return false;
    link.send(this, frames);
    return true;
  }

  close(code: number, reason: string): void {
    const why: CloseCode = { code, reason };
    this.outlet.orderLast("close", this.number, why);
  }

  ping(): boolean {
    this.outlet.orderLast("ping", this.number, undefined);
    return true;
  }

  get #unconfirmed(): number {
    const { done } = this.outlet;
    if (done >= this.#latestPost) return 0;
    return this.#latestBytes + (done >= this.#earlierPost ? 0 : this.#earlierBytes);
  }

  /**
   * Whether frames fit that are counted already, while the worker is late. It then keeps to the same limit. As without
   * workers, a frame that follows few bytes may have any length.
   */
  #fits(frames: readonly Message[], chars: number): boolean {
    let held = this.#unconfirmed - chars;
    this.#excused = Math.min(this.#excused, held);
    const room = Backlog.roomWithin(this.#limits);
    for (const { length } of frames) {
      const counted = held - this.#excused;
      if (counted <= room) this.#excused += Math.max(0, counted + length - room - 1);
      else if (counted + length > this.#limits.maxQueuedBytes) return false;
      held += length;
    }
    return true;
  }

  /** Counts from another post on. */
  #begin(done: number, post: number): void {
    if (done >= this.#earlierPost) {
      this.#earlierBytes = done >= this.#latestPost ? 0 : this.#latestBytes;
      this.#earlierPost = this.#latestPost;
      this.#latestBytes = 0;
      if (this.#earlierBytes === 0) this.#excused = 0;
    }
    this.#latestPost = post;
  }
}
