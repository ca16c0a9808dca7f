/**
 * The protocol for clients that WebSockets do not reach: the server's side as an HTTP stream or as server-sent
 * events, the client's side as requests beside it.
 *
 * @module
 */

import { type App, type Endpoint, type Framing, refusal } from "../../../core/mod.ts";
import { readText } from "../../shared/body.ts";
import { refusalFor } from "../../shared/http_errors.ts";
import { corsHeaders, type OriginRule, preflight } from "./cors.ts";
import { asFields, text } from "./fields.ts";
import { CentrifugeSession, type Shared } from "./session.ts";
import { type StreamFormat, streamFormat, streamTransport } from "./stream_transport.ts";

/** What the streams need of the plugin. */
export interface StreamOptions {
  readonly httpStreamPath: string;
  readonly ssePath: string;
  readonly emulationPath: string;
  readonly maxMessageBytes: number;
  readonly allows: OriginRule;
  readonly format: Framing["format"];
}

/** How long a body may take. */
const BODY_MS = 10_000;

/** One way of streaming: an endpoint that is no WebSocket, and how it writes. */
interface Way {
  readonly endpoint: Endpoint;
  readonly format: StreamFormat;
  readonly headers: Readonly<Record<string, string>>;
}

/** Proxies must neither keep what passes nor hold it back. */
const STREAM_HEADERS = {
  "cache-control": "private, no-cache, no-store, must-revalidate, max-age=0, no-transform",
  pragma: "no-cache",
  expires: "0",
  "x-accel-buffering": "no",
};

/** Makes the endpoints and a function that adds their routes. */
export function streams(
  shared: Shared,
  options: StreamOptions,
): { endpoints: readonly Endpoint[]; routes: (app: App) => void } {
  const { httpStreamPath, ssePath, emulationPath, maxMessageBytes, allows } = options;
  const httpStream = way(shared, options, "centrifuge http_stream", httpStreamPath, "\n", {
    format: streamFormat("", "", "\n"),
    headers: { ...STREAM_HEADERS, "content-type": "application/x-ndjson; charset=utf-8" },
  });
  const sse = way(shared, options, "centrifuge sse", ssePath, "\n\ndata: ", {
    // The empty line makes proxies pass on the head at once.
    format: streamFormat("\r\n", "data: ", "\n\n"),
    headers: { ...STREAM_HEADERS, "content-type": "text/event-stream; charset=utf-8" },
  });
  const body = (request: Request) =>
    readText(request, { maxBytes: maxMessageBytes, timeoutMs: BODY_MS, clock: shared.clock() }).catch(
      refusalFor,
    );

  return {
    endpoints: [httpStream.endpoint, sse.endpoint],
    routes(app) {
      app.post(httpStreamPath, (c) => open(httpStream, c.req.raw, c.env.ip, () => body(c.req.raw)));
      app.post(ssePath, (c) => open(sse, c.req.raw, c.env.ip, () => body(c.req.raw)));
      app.get(ssePath, (c) => {
        // Whoever asks for the head alone never reads, or ends, a stream.
        if (c.req.raw.method === "HEAD") return methodNotAllowed();
        return open(sse, c.req.raw, c.env.ip, () => fromQuery(c.req.raw));
      });
      app.post(emulationPath, async (c) => {
        const cors = corsHeaders(c.req.raw, allows);
        if (cors instanceof Response) return cors;
        return withHeaders(deliver(shared, await body(c.req.raw)), cors);
      });
      for (const path of [httpStreamPath, ssePath, emulationPath]) {
        app.options(path, (c) => preflight(c.req.raw, allows));
        app.all(path, methodNotAllowed);
      }
    },
  };

  /** Answers with a stream, on which the client's first command is answered like any other. */
  async function open(
    { endpoint, format, headers }: Way,
    request: Request,
    ip: string,
    read: () => Promise<string | Response> | string | Response,
  ): Promise<Response> {
    const cors = corsHeaders(request, allows);
    if (cors instanceof Response) return cors;
    const admission = await shared.host().admit(endpoint, request, ip);
    if (admission instanceof Response) return withHeaders(admission, cors);
    const command = await read();
    if (command instanceof Response) {
      admission.release();
      return withHeaders(command, cors);
    }
    const transport = streamTransport(format, shared.clock(), (byClient) => {
      admission.release();
      if (byClient) incoming.ended({ code: 1006, reason: "", by: "network" });
    });
    const { connection, incoming } = admission.open(transport);
    shared.incoming.set(connection, incoming);
    incoming.receive(command);
    return new Response(transport.body, { headers: { ...headers, ...cors } });
  }
}

function way(
  shared: Shared,
  { maxMessageBytes, format }: StreamOptions,
  name: string,
  path: string,
  separator: string,
  rest: Omit<Way, "endpoint">,
): Way {
  const framing: Framing<"text"> = { accepts: "text", format, join: (messages) => messages.join(separator) };
  return {
    ...rest,
    endpoint: {
      name,
      path,
      maxMessageBytes,
      framing: () => framing,
      open: (conn) => new CentrifugeSession(shared, conn, true),
    },
  };
}

function methodNotAllowed(): Response {
  return refusal(405, "method_not_allowed", "Use POST", { allow: "POST, OPTIONS" });
}

/** The connect command in the URL: event sources cannot send a body. */
function fromQuery(request: Request): string | Response {
  const command = new URL(request.url).searchParams.get("cf_connect") ?? "";
  if (command === "") return refusal(400, "bad_request", "The parameter cf_connect is missing");
  // A page that gives its own name our address sends no origin here. It shall not do more than listen to itself.
  return command.includes("\n") ? refusal(400, "bad_request", "cf_connect is one command") : command;
}

/** Hands a message to the connection whose stream it belongs to. */
function deliver({ streams, incoming, node }: Shared, body: string | Response): Response {
  if (body instanceof Response) return body;
  let session, target, data: string;
  try {
    const fields = asFields(JSON.parse(body));
    [session, target, data] = [text(fields, "session"), text(fields, "node"), text(fields, "data")];
  } catch {
    return refusal(400, "bad_request", "The body is no emulation request");
  }
  if (target !== node) return refusal(404, "unknown_node", "There is no such node");
  // Also when the session has just ended: its client learns that from the stream.
  const conn = streams.get(session);
  if (conn !== undefined) incoming.get(conn)?.receive(data);
  return new Response(null, { status: 204 });
}

function withHeaders(response: Response, headers: Record<string, string>): Response {
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}
