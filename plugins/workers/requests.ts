/**
 * HTTP requests that workers received, answered by the main thread. Bodies cross part by part, each when the other side
 * asks for it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { MaybePromise } from "../../core/mod.ts";
import { Tally } from "../../core/http/tally.ts";
import { exactly, type Link } from "./link.ts";
import type { Answer, RequestFacts } from "./messages.ts";

/** Methods that a `Request` cannot be made with. */
const FORBIDDEN = /^(connect|trace|track)$/i;

/** A request that a worker received. Its URL and method are as they were sent. */
export class RemoteRequest extends Request {
  readonly #url: string;
  readonly #method: string;

  constructor({ url, method, headers }: RequestFacts, body?: ReadableStream, signal?: AbortSignal) {
    super(URL.canParse(url) ? url : "http://invalid/", {
      method: FORBIDDEN.test(method) ? body === undefined ? "GET" : "POST" : method,
      headers: headers as [string, string][],
      ...(body && { body }),
      ...(signal && { signal }),
    });
    this.#url = url;
    this.#method = method;
  }

  override get url(): string {
    return this.#url;
  }

  override get method(): string {
    return this.#method;
  }
}

/**
 * The request of a handshake, as far as it is read on the way to an endpoint. A real one takes three times as long to make,
 * which shows when ten thousand clients connect.
 */
export function handshakeRequest({ url, method, headers }: RequestFacts): Request {
  return Object.create(Request.prototype, {
    url: { value: url },
    method: { value: method },
    headers: { value: new Headers(headers as [string, string][]) },
    body: { value: null },
  });
}

/** The information that goes with a request from a peer. */
export function infoOf(peer: string, completed: Promise<void> = Promise.resolve()): Deno.ServeHandlerInfo {
  return { remoteAddr: { transport: "tcp", hostname: peer, port: 0 }, completed };
}

/** Bytes of a body that cross without being asked for. */
const FIRST_BYTES = 65_536;

const FAILED: Answer = { status: 500, statusText: "", headers: [], body: undefined, streams: false };

/** A request without a complete response. */
interface Pending {
  readonly body: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** Whether the worker sends a part of the body next. It sends the first one unasked. */
  expected: boolean;
  readonly abort: AbortController;
  readonly completed: () => void;
  /** Whether the whole response was passed on. */
  ended: boolean;
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** The part that is being read. */
  next: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
}

/** Answers the requests of one worker. */
export class RemoteRequests {
  readonly #link: Link;
  readonly #fetch: (request: Request, info: Deno.ServeHandlerInfo) => MaybePromise<Response>;
  readonly #failed: (error: unknown) => void;
  readonly #pending = new Map<number, Pending>();
  /** Counts requests that are not answered completely. */
  readonly tally = new Tally();

  constructor(
    link: Link,
    fetch: (request: Request, info: Deno.ServeHandlerInfo) => MaybePromise<Response>,
    failed: (error: unknown) => void,
  ) {
    this.#link = link;
    this.#fetch = fetch;
    this.#failed = failed;
  }

  /** Passes the refusal of a handshake to the worker. */
  async refuse(number: number, response: Response): Promise<void> {
    try {
      const { status, statusText, headers } = response;
      const body = response.body === null ? undefined : await response.bytes();
      this.#link.order("answer", number, { status, statusText, headers: [...headers], body, streams: false });
    } catch (error) {
      this.#fail(number, error);
    }
  }

  /** Passes a request to the server, and its response to the worker. */
  async answer(number: number, facts: RequestFacts): Promise<void> {
    const abort = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    const { stream, controller } = facts.hasBody ? this.#body(number) : {};
    const pending: Pending = {
      body: controller,
      expected: true,
      abort,
      completed: resolve,
      ended: false,
      reader: undefined,
      next: undefined,
    };
    this.#pending.set(number, pending);
    this.tally.add();
    try {
      const request = new RemoteRequest(facts, stream, abort.signal);
      const response = await this.#fetch(request, infoOf(facts.peer, promise));
      if (!this.#pending.has(number)) return void response.body?.cancel().catch(() => {});
      this.#link.order("answer", number, await this.#begin(pending, response));
    } catch (error) {
      this.#fail(number, error);
    }
  }

  /** The next part of a request's body, or its end. */
  body(number: number, part: Uint8Array | undefined): void {
    const pending = this.#pending.get(number);
    if (pending?.body === undefined) return;
    pending.expected = false;
    try {
      if (part === undefined) pending.body.close();
      else pending.body.enqueue(part);
    } catch { /* The handler has canceled the body. */ }
  }

  /** The request's body ends before its time. */
  broken(number: number): void {
    this.#pending.get(number)?.body?.error(new TypeError("The request's body was not received completely"));
  }

  /** The worker asks for the next part of a response. */
  async pull(number: number): Promise<void> {
    const pending = this.#pending.get(number);
    if (pending?.reader === undefined) return;
    try {
      const { value, done } = await (pending.next ?? pending.reader.read());
      pending.next = undefined;
      pending.ended = done;
      if (done) this.#link.order("end", number, true);
      else this.#link.order("part", number, exactly(value));
    } catch {
      this.#link.order("end", number, false);
    }
  }

  /** The client does not read the rest of a response. */
  cancel(number: number): void {
    this.#pending.get(number)?.reader?.cancel().catch(() => {});
  }

  /** The response was sent, or its connection has ended. */
  completed(number: number): void {
    const pending = this.#pending.get(number);
    if (pending === undefined) return;
    this.#pending.delete(number);
    this.tally.remove();
    pending.completed();
    if (!pending.ended) pending.abort.abort();
    pending.reader?.cancel().catch(() => {});
  }

  /** The worker has ended. */
  end(): void {
    for (const number of this.#pending.keys()) {
      this.broken(number);
      this.completed(number);
    }
  }

  #body(number: number) {
    let controller!: ReadableStreamDefaultController<Uint8Array>;
    const stream = new ReadableStream<Uint8Array>({
      start: (given) => void (controller = given),
      pull: () => {
        const pending = this.#pending.get(number);
        if (pending === undefined || pending.expected) return;
        pending.expected = true;
        this.#link.order("pull", number, undefined);
      },
    }, { highWaterMark: 0 });
    return { stream, controller };
  }

  /** Answers with an error, such as for a response that was sent before: its body cannot be read twice. */
  #fail(number: number, error: unknown): void {
    this.#failed(error);
    this.#link.order("answer", number, FAILED);
  }

  #whole(pending: Pending, answer: Answer): Answer {
    pending.ended = true;
    return answer;
  }

  /** Reads what a response has ready: often its whole body. */
  async #begin(pending: Pending, { status, statusText, headers, body }: Response): Promise<Answer> {
    const head = { status, statusText, headers: [...headers] };
    if (body === null) return this.#whole(pending, { ...head, body: undefined, streams: false });
    const reader = pending.reader = body.getReader();
    const parts: Uint8Array[] = [];
    let size = 0;
    const late = new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)));
    for (;;) {
      pending.next = reader.read();
      pending.next.catch(() => {}); // It is awaited again when the worker asks for more.
      const result = await Promise.race([pending.next, late]).catch(() => undefined);
      if (result === undefined) return { ...head, body: joined(parts), streams: true };
      if (result.done) return this.#whole(pending, { ...head, body: joined(parts), streams: false });
      parts.push(result.value);
      size += result.value.length;
      if (size > FIRST_BYTES) {
        pending.next = undefined;
        return { ...head, body: joined(parts), streams: true };
      }
    }
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array | undefined {
  return parts.length < 2 ? parts[0] && exactly(parts[0]) : exactly(Buffer.concat(parts));
}
