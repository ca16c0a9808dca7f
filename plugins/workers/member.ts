import {
  type Admission,
  closeCodes,
  type Closed,
  type Host,
  type Listening,
  type Log,
  messageOf,
} from "../../core/mod.ts";
import { sourceWorker } from "../shared/source_worker.ts";
import { Link } from "./link.ts";
import {
  type Batch,
  type Beginning,
  type Figures,
  MESSAGE_BYTES,
  type Progress,
  type Report,
  type RequestFacts,
} from "./messages.ts";
import { RemoteTransport } from "./remote_transport.ts";
import { handshakeRequest, infoOf, RemoteRequests } from "./requests.ts";

/** What a worker needs from the others. */
export interface MemberOptions {
  readonly source: string;
  readonly name: string;
  readonly host: Host;
  readonly listening: Listening;
  readonly beginning: Omit<Beginning, "progress">;
  /** Whether the worker gets credit for more messages now. */
  readonly mayTake: () => boolean;
  /** Called when reports were handled. */
  readonly handled: () => void;
  /** Called once, when the worker has ended, with the reason unless it was stopped. */
  readonly ended: (reason: string | undefined) => void;
}

/** How the connections of a worker that has ended were closed. */
const LOST: Closed = { code: 1006, reason: "", by: "network" };

const NO_FIGURES: Figures = {
  sockets: 0,
  queuedBytes: 0,
  waitingBytes: 0,
  heapBytes: 0,
  framesSent: 0,
  cpuSeconds: 0,
};

/** For how long reports are handled before others have a turn. */
const SLICE_MS = 5;

/** A worker, as the main thread sees it. */
export class Member {
  readonly link: Link;
  readonly #options: MemberOptions;
  readonly #worker: Worker;
  readonly #log: Log;
  readonly #requests: RemoteRequests;
  /** Those that were accepted, until their sockets are closed. */
  readonly #connections = new Map<number, RemoteTransport>();
  readonly #listens = Promise.withResolvers<{ hostname: string; port: number }>();
  readonly #stopped = Promise.withResolvers<void>();
  /** Reports that wait for their turn, and where the first batch continues. */
  readonly #inbound: Batch[] = [];
  #position = 0;
  #handling = false;
  /** Bytes of messages that were handled, without credit for more. */
  #owed = 0;
  #alive = true;
  #listening = false;
  #problem: string | undefined;
  #figures = NO_FIGURES;
  #messages = 0;

  constructor(options: MemberOptions) {
    const { source, name, host, listening } = options;
    const progress: Progress = new Int32Array(new SharedArrayBuffer(8));
    this.#options = options;
    this.#log = host.log;
    this.#worker = sourceWorker(source, name);
    this.link = new Link(progress, (batch, moved) => {
      if (this.#alive) this.#worker.postMessage(batch, moved);
    });
    const failed = (error: unknown) => this.#log.error("an answer cannot be sent", { error });
    this.#requests = new RemoteRequests(this.link, listening.fetch, failed);
    this.#worker.onmessage = ({ data }: MessageEvent<Batch>) => {
      this.#inbound.push(data);
      if (!this.#handling) this.#handle();
    };
    this.#worker.onerror = (event) => {
      event.preventDefault(); // or the process ends
      this.end(event.message);
    };
    this.#listens.promise.catch(() => {});
    this.link.order("begin", 0, { ...options.beginning, progress });
  }

  /** Resolves when it listens; rejects if it ends before. */
  get listens(): Promise<{ hostname: string; port: number }> {
    return this.#listens.promise;
  }

  /** Whether it has started. */
  get isListening(): boolean {
    return this.#listening;
  }

  /** A sentence if it cannot listen at the moment. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Its connections, those that are being opened or closed included. */
  get size(): number {
    return this.#connections.size;
  }

  /** What it has counted. */
  get figures(): Figures {
    return this.#figures;
  }

  /** Messages from its clients that were handled. */
  get messages(): number {
    return this.#messages;
  }

  /** All its clients give a sign of life: they cannot do it themselves while the worker is busy. */
  excuse(): void {
    for (const { incoming } of this.#connections.values()) incoming?.heard();
  }

  /** Gives credit for the messages that were handled, if it may have more. */
  settle(): void {
    if (this.#owed === 0 || !this.#options.mayTake()) return;
    this.link.take(this.#owed);
    this.#owed = 0;
  }

  /** Closes the port. Resolves when pending requests are answered. */
  async stop(): Promise<void> {
    this.link.order("stop", 0, undefined);
    await this.#stopped.promise;
  }

  /** Resolves when no request waits for its answer. */
  answered(): Promise<void> {
    return this.#requests.tally.empty();
  }

  /** Ends the worker. Its connections are lost. */
  end(reason?: string): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#worker.terminate();
    this.#listens.reject(new Error(reason ?? "the worker was ended"));
    this.#stopped.resolve();
    while (this.#handleNext()); // What arrived before the end counts.
    this.#requests.end();
    for (const [number, transport] of [...this.#connections]) this.#gone(number, transport, LOST);
    this.#options.ended(reason);
  }

  /** Handles reports in order, until the slice is used up. */
  #handle(): void {
    this.#handling = true;
    const deadline = performance.now() + SLICE_MS;
    while (this.#alive && this.#handleNext()) {
      if (performance.now() > deadline) return void setImmediate(() => this.#handle());
    }
    this.#handling = false;
    this.settle();
    this.#options.handled();
  }

  /** Returns whether there was a report. */
  #handleNext(): boolean {
    const [batch] = this.#inbound;
    if (batch === undefined) return false;
    const i = this.#position;
    this.#position += 3;
    if (this.#position >= batch.length) {
      this.#inbound.shift();
      this.#position = 0;
    }
    this.#carryOut([batch[i], batch[i + 1], batch[i + 2]] as Report);
    return true;
  }

  #carryOut(report: Report): void {
    try {
      this.#receive(report);
    } catch (error) {
      this.#log.error("a report of a worker failed", { what: report[0], error });
    }
  }

  #receive([what, number, value]: Report): void {
    switch (what) {
      case "message":
        this.#owed += value.length + MESSAGE_BYTES;
        this.#messages++;
        return this.#connections.get(number)?.incoming?.receive(value);
      case "done":
        return this.link.proceed();
      case "handshake":
        return this.#handshake(number, value);
      case "opened":
        return this.#opened(number);
      case "heard":
        return this.#connections.get(number)?.incoming?.heard();
      case "ended":
        return this.#connections.get(number)?.incoming?.ended(value);
      case "gone":
      case "failed":
        return this.#gone(number, this.#connections.get(number), value ?? LOST);
      case "queued": {
        const transport = this.#connections.get(number);
        if (transport !== undefined) transport.queued = value;
        return;
      }
      case "request":
        return void this.#requests.answer(number, value);
      case "body":
        return this.#requests.body(number, value);
      case "broken":
        return this.#requests.broken(number);
      case "pull":
        return void this.#requests.pull(number);
      case "cancel":
        return this.#requests.cancel(number);
      case "completed":
        return this.#requests.completed(number);
      case "figures":
        this.#figures = value;
        return;
      case "fault":
        return this.#log.error("a worker failed at an order or an event", {
          connection: number,
          error: value,
        });
      case "listening":
        this.#listening = true;
        return this.#listens.resolve({ port: number, hostname: value });
      case "deaf":
        this.#problem = value;
        return;
      case "stopped":
        return this.#stopped.resolve();
    }
  }

  /** Asks the server about a handshake. */
  #handshake(number: number, facts: RequestFacts): void {
    const admission = this.#options.listening.admit(handshakeRequest(facts), infoOf(facts.peer));
    if (admission instanceof Promise) void admission.then((each) => this.#decide(number, each));
    else this.#decide(number, admission);
  }

  /** Tells the worker to accept or refuse a handshake. */
  #decide(number: number, admission: Response | Admission): void {
    if (admission instanceof Response) return void this.#requests.refuse(number, admission);
    if (!this.#alive) return admission.release();
    const { upgrade: { protocol, offered }, limits } = admission;
    this.#connections.set(number, new RemoteTransport(number, this.link, admission));
    const answered = protocol !== undefined && offered.includes(protocol) ? protocol : undefined;
    this.link.order("accept", number, { protocol: answered, limits });
  }

  #opened(number: number): void {
    const transport = this.#connections.get(number);
    if (transport === undefined) return;
    if (this.#options.host.state !== "ready") {
      const { code, reason } = closeCodes.shutdown;
      return transport.close(code, reason);
    }
    transport.open();
  }

  #gone(number: number, transport: RemoteTransport | undefined, why: Closed): void {
    if (transport === undefined) return;
    this.#connections.delete(number);
    try {
      transport.incoming?.ended(why);
    } catch (error) {
      this.#log.error("the end of a connection failed", { error: messageOf(error) });
    }
    transport.release();
  }
}
