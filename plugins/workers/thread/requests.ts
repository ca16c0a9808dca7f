import type { SocketInternals } from "../../../core/http/socket_internals.ts";
import type { Acceptance, Answer, RequestFacts } from "../messages.ts";
import type { ThreadConnections } from "./connections.ts";
import type { Reporter } from "./reporter.ts";

/** The requests of a worker. */
export interface ThreadRequests {
  /** Answers a request with what the main thread decides. */
  handle(request: Request, info: Deno.ServeHandlerInfo): Promise<Response>;
  accept(handshake: number, acceptance: Acceptance): void;
  answer(request: number, answer: Answer): void;
  part(request: number, part: Uint8Array): void;
  end(request: number, complete: boolean): void;
  pull(request: number): void;
}

/** Passes HTTP requests to the main thread, and opens the WebSockets that it accepts. Runs in a worker, as text. */
export function threadRequests(
  { report }: Reporter,
  connections: ThreadConnections,
  internals: SocketInternals,
  pingIntervalMs: number,
): ThreadRequests {
  /** A request without its answer. */
  interface Pending {
    readonly request: Request;
    readonly resolve: (response: Response) => void;
  }
  let last = 0;
  const pending = new Map<number, Pending>();
  const bodies = new Map<number, ReadableStreamDefaultReader<Uint8Array>>();
  /** Responses whose bodies are being sent. */
  const streams = new Map<number, ReadableStreamDefaultController<Uint8Array>>();

  function factsOf(request: Request, { remoteAddr }: Deno.ServeHandlerInfo): RequestFacts {
    return {
      url: request.url,
      method: request.method,
      headers: [...request.headers],
      peer: "hostname" in remoteAddr ? remoteAddr.hostname : "unknown",
      // `get` is another method for HTTP, but not for a `Request`.
      hasBody: !/^(get|head)$/i.test(request.method) && request.body !== null,
    };
  }

  /** Reads the next part of a request's body. */
  async function read(number: number): Promise<void> {
    const reader = bodies.get(number);
    if (reader === undefined) return;
    try {
      const { value, done } = await reader.read();
      if (done) bodies.delete(number);
      report("body", number, done ? undefined : value);
    } catch {
      bodies.delete(number);
      report("broken", number, undefined);
    }
  }

  function upgrade(number: number, { request, resolve }: Pending, { protocol, limits }: Acceptance): void {
    try {
      const idleTimeout = internals.canPing ? 0 : 2 * pingIntervalMs / 1_000;
      const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout });
      internals.endRequestOnce(request);
      if (protocol !== undefined) response.headers.set("sec-websocket-protocol", protocol);
      connections.add(number, socket, limits);
      resolve(response);
    } catch {
      report("failed", number, undefined);
      const error = { code: "bad_handshake", message: "This is not a valid WebSocket handshake" };
      resolve(Response.json({ error }, { status: 400 }));
    }
  }

  function bodyOf(
    number: number,
    { body, streams: more }: Answer,
  ): ReadableStream | Uint8Array<ArrayBuffer> | null {
    if (!more) return (body ?? null) as Uint8Array<ArrayBuffer> | null;
    return new ReadableStream<Uint8Array>({
      start(controller) {
        streams.set(number, controller);
        if (body !== undefined) controller.enqueue(body);
      },
      pull: () => report("pull", number, undefined),
      cancel() {
        if (streams.delete(number)) report("cancel", number, undefined);
      },
    }, { highWaterMark: 0 });
  }

  function responseOf(number: number, answer: Answer): Response {
    const { status, statusText, headers } = answer;
    try {
      return new Response(bodyOf(number, answer), {
        status,
        statusText,
        headers: headers as [string, string][],
      });
    } catch {
      // Such as `Response.error()`, which has no status. The runtime answers the same.
      return new Response("Internal Server Error", { status: 500 });
    }
  }

  return {
    handle(request, info) {
      const number = ++last;
      const { method, headers } = request;
      const isHandshake = method === "GET" && headers.get("upgrade")?.toLowerCase() === "websocket";
      const { promise, resolve } = Promise.withResolvers<Response>();
      pending.set(number, { request, resolve });
      const facts = factsOf(request, info);
      report(isHandshake ? "handshake" : "request", number, facts);
      if (isHandshake) return promise;
      if (facts.hasBody) {
        bodies.set(number, request.body!.getReader());
        void read(number);
      }
      // The client has left before the answer. Until then, the runtime does not report the end of the request.
      request.signal.addEventListener("abort", () => {
        if (pending.delete(number)) resolve(new Response(null, { status: 499 }));
      });
      const completed = () => {
        bodies.delete(number);
        report("completed", number, undefined);
      };
      info.completed.then(completed, completed);
      return promise;
    },
    accept(number, acceptance) {
      const found = pending.get(number);
      pending.delete(number);
      if (found !== undefined) upgrade(number, found, acceptance);
    },
    answer(number, answer) {
      const found = pending.get(number);
      pending.delete(number);
      found?.resolve(responseOf(number, answer));
    },
    part: (number, part) => streams.get(number)?.enqueue(part),
    end(number, complete) {
      const controller = streams.get(number);
      if (!streams.delete(number)) return;
      if (complete) controller!.close();
      else controller!.error(new Error("The response is incomplete"));
    },
    pull: (number) => void read(number),
  };
}
