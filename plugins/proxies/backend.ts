/**
 * One URL of the backend: sends requests, reads answers within bounds, and stops while the backend is down.
 *
 * @module
 */

import { checkOptions, type Host, messageOf, PlugboardError } from "../../core/mod.ts";
import { BackendError } from "../shared/backend_error.ts";
import { readText } from "../shared/body.ts";
import { isHttpUrl, requestFailure, shownUrl } from "../shared/http_url.ts";
import type { Counter } from "../shared/metrics.ts";
import { Breaker, type FailureKind } from "./breaker.ts";
import { checkHeaderNames, checkStaticHeaders } from "./headers.ts";
import { Places } from "./places.ts";
import { bad, BadReply, readReply, refusalOf, type Reply } from "./reply.ts";
import type { ProxyEvent, ProxyOptions } from "./types.ts";

/** A request to the backend. */
export interface BackendRequest {
  /** The body, as JSON text. */
  readonly body: string;
  /** Headers in addition to those of every request. */
  readonly headers: Headers;
  /** Whose request it is. */
  readonly account: string;
  /** Whether the account has a limit of requests at once. @default {true} */
  readonly limited?: boolean;
}

/** Refuses while the backend cannot be asked. */
export class Unavailable extends PlugboardError {
  constructor() {
    super("unavailable", "The backend is not available at the moment, try again later");
  }
}

/** A failed request. */
class Failure extends Error {
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** How often failures are logged. */
const QUIET_MS = 10_000;

/** A URL of the backend. */
export class Backend {
  readonly event: ProxyEvent;
  readonly options: ProxyOptions;
  readonly #timeoutMs: number;
  readonly #maxReplyBytes: number;
  readonly #breaker = new Breaker(() => this.#host!.clock.monotonicTime());
  readonly #places: Places;
  readonly #requests: Counter | undefined;
  readonly #running = new Set<AbortController>();
  /** The URL without what may be secret. */
  readonly #shownUrl: string;
  #silentUntil = -Infinity;
  #host: Host | undefined;

  constructor(event: ProxyEvent, options: ProxyOptions, requests: Counter | undefined) {
    const { url, timeoutMs = 1_000, maxReplyBytes = 262_144, maxConcurrent = 256 } = options;
    const { whenDown = "refuse", statuses = {} } = options;
    const check = checkOptions("proxies");
    // Not the value: it may contain a secret.
    check.that(isHttpUrl(url), `${event}.url`, "an http or https URL without a user name", "something else");
    check.positiveInteger(`${event}.timeoutMs`, timeoutMs);
    check.positiveInteger(`${event}.maxReplyBytes`, maxReplyBytes);
    check.positiveInteger(`${event}.maxConcurrent`, maxConcurrent);
    check.oneOf(`${event}.whenDown`, whenDown, event === "rpc" ? ["refuse"] : ["refuse", "allow"]);
    checkHeaderNames(event, options);
    checkStaticHeaders(event, options);
    for (const [status, answer] of Object.entries(statuses)) {
      check.that(holds(() => refusalOf(answer)), `${event}.statuses`, "valid errors and disconnects", status);
    }
    this.event = event;
    this.options = options;
    this.#timeoutMs = timeoutMs;
    this.#maxReplyBytes = maxReplyBytes;
    this.#places = new Places(maxConcurrent, timeoutMs);
    this.#requests = requests;
    this.#shownUrl = shownUrl(url);
  }

  start(host: Host): void {
    this.#host = host;
  }

  stop(): void {
    this.#host = undefined;
    this.#places.clear(new Unavailable());
    for (const controller of this.#running) controller.abort(new Failure("answer", "the server is stopping"));
  }

  /** The problem for the server's operator, if there is one. */
  get problem(): string | undefined {
    return this.#breaker.open
      ? `the backend for ${this.event} at ${this.#shownUrl} does not answer`
      : undefined;
  }

  /** Asks the backend. Throws `unavailable` if it cannot be asked, or a {@linkcode BackendError} if it refuses. */
  async ask(request: BackendRequest): Promise<Reply | undefined> {
    const host = this.#host;
    if (host === undefined || !this.#breaker.admit()) return this.#refuse();
    const account = request.limited === false ? undefined : request.account;
    try {
      await this.#places.take(host.clock, account);
    } catch (error) {
      this.#breaker.cancelled();
      this.#requests?.add(1, this.event, "refused");
      throw error;
    }
    try {
      const reply = await this.#send(host, request);
      this.#answered(host, "ok");
      return reply;
    } catch (error) {
      if (error instanceof BackendError) {
        this.#answered(host, "denied");
        throw error;
      }
      this.#failed(host, request, error);
      throw new Unavailable();
    } finally {
      this.#places.release(account);
    }
  }

  /** Handles an answer whose result has another form. */
  unusable(error: unknown): Unavailable {
    this.#host?.log.error(`the backend for ${this.event} gave an unusable answer: ${messageOf(error)}`);
    return new Unavailable();
  }

  #refuse(): never {
    this.#requests?.add(1, this.event, "refused");
    throw new Unavailable();
  }

  #answered({ log }: Host, result: string): void {
    this.#requests?.add(1, this.event, result);
    if (this.#breaker.succeeded()) log.info(`the backend for ${this.event} answers again`);
  }

  #failed({ clock, log }: Host, { account }: BackendRequest, error: unknown): void {
    this.#requests?.add(1, this.event, "failed");
    const kind = error instanceof Failure ? error.kind : "answer";
    const reason = requestFailure(error, this.options.url);
    const fields = { url: this.#shownUrl, reason };
    if (this.#breaker.failed(kind, account)) {
      log.error(`the backend for ${this.event} is not asked for a while: ${reason}`, fields);
      this.#places.clear(new Unavailable());
    } else if (clock.monotonicTime() >= this.#silentUntil) {
      this.#silentUntil = clock.monotonicTime() + QUIET_MS;
      log.warn(`a request to the backend for ${this.event} failed: ${reason}`, fields);
    }
  }

  async #send({ clock }: Host, { body, headers }: BackendRequest): Promise<Reply | undefined> {
    const controller = new AbortController();
    this.#running.add(controller);
    const timeout = new Failure("answer", `no answer within ${this.#timeoutMs} ms`);
    const cancel = clock.after(this.#timeoutMs, () => controller.abort(timeout));
    try {
      const response = await this.#fetch(body, headers, controller.signal);
      if (response.status !== 200) {
        await response.body?.cancel().catch(() => {});
        const answer = this.options.statuses?.[response.status];
        throw answer === undefined
          ? new Failure("answer", `the status was ${response.status}`)
          : refusalOf(answer);
      }
      const limits = { maxBytes: this.#maxReplyBytes, timeoutMs: this.#timeoutMs, clock };
      return readReply(await readText(response, limits));
    } catch (error) {
      if (controller.signal.aborted) throw controller.signal.reason;
      throw error instanceof BadReply ? bad(`the answer is unusable: ${error.message}`) : error;
    } finally {
      cancel();
      this.#running.delete(controller);
    }
  }

  async #fetch(body: string, headers: Headers, signal: AbortSignal): Promise<Response> {
    headers.set("content-type", "application/json");
    try {
      return await fetch(this.options.url, { method: "POST", redirect: "manual", body, headers, signal });
    } catch (error) {
      throw signal.aborted ? error : new Failure("unreachable", requestFailure(error, this.options.url));
    }
  }
}

function holds(check: () => unknown): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}
