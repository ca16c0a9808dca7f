/**
 * Clients without WebSockets: the server sends over an HTTP stream or server-sent events, and the client sends
 * requests to the emulation endpoint.
 *
 * @module
 */

import {
  type App,
  type Connection,
  type Endpoint,
  type Message,
  refusal,
  refusalFor,
  type RequestInfo,
  type TransportEvents,
  type Upgrade,
} from "../../../core/mod.ts";
import { readBytes, readText } from "../../shared/body.ts";
import type { Codec, EmulationRequest, StreamFraming } from "./codec.ts";
import { corsHeaders, type OriginRule, preflight } from "./cors.ts";
import { CentrifugeSession, type Shared } from "./session.ts";
import { streamTransport } from "./stream_transport.ts";
import { uniCodec } from "./uni_codec.ts";

/** Options of the streams. */
export interface StreamOptions {
  readonly httpStreamPath: string;
  readonly ssePath: string;
  readonly emulationPath: string;
  readonly uniHttpStreamPath: string;
  readonly uniSsePath: string;
  readonly maxMessageBytes: number;
  readonly allows: OriginRule;
  /** Chooses the encoding of a request. */
  codecOf(request: Parameters<Codec["chosenBy"]>[0]): Codec;
}

const BODY_TIMEOUT_MS = 10_000;

/** A way to stream: its endpoint, and how each codec writes there. */
interface Stream {
  readonly path: string;
  readonly endpoint: Endpoint;
  readonly codecOf: StreamOptions["codecOf"];
  framingOf(codec: Codec): StreamFraming | undefined;
}

/** Proxies must neither store nor delay what passes. */
const STREAM_HEADERS = {
  "cache-control": "private, no-cache, no-store, must-revalidate, max-age=0, no-transform",
  pragma: "no-cache",
  expires: "0",
  "x-accel-buffering": "no",
};

/** Makes the endpoints, and the function that adds their routes. */
export function streams(
  shared: Shared,
  options: StreamOptions,
): { endpoints: readonly Endpoint[]; routes: (app: App) => void } {
  const { httpStreamPath, ssePath, emulationPath, uniHttpStreamPath, uniSsePath } = options;
  const { maxMessageBytes, allows, codecOf } = options;
  /** What arrives for a connection. */
  const inputs = new WeakMap<Connection, TransportEvents>();
  const lines = (codec: Codec) => codec.httpStream;
  const events = (codec: Codec) => codec.sse;
  const byLines = [
    stream("centrifuge http_stream", httpStreamPath, lines),
    stream("centrifuge uni_http_stream", uniHttpStreamPath, lines, true),
  ];
  const byEvents = [
    stream("centrifuge sse", ssePath, events),
    stream("centrifuge uni_sse", uniSsePath, events, true),
  ];

  return {
    endpoints: [...byLines, ...byEvents].map(({ endpoint }) => endpoint),
    routes(app) {
      for (const each of [...byLines, ...byEvents]) {
        app.post(each.path, (c) => open(each, c.req.raw, c.env, body));
      }
      for (const each of byEvents) {
        app.get(each.path, (c) => {
          // The sender of a HEAD request never reads, or ends, a stream.
          return c.req.raw.method === "HEAD" ? headNotAllowed() : open(each, c.req.raw, c.env, fromQuery);
        });
      }
      app.post(emulationPath, async (c) => {
        const cors = corsHeaders(c.req.raw, allows);
        return cors instanceof Response ? cors : withHeaders(await emulate(c.req.raw), cors);
      });
      for (const path of [httpStreamPath, ssePath, emulationPath, uniHttpStreamPath, uniSsePath]) {
        app.options(path, (c) => preflight(c.req.raw, allows));
      }
    },
  };

  function stream(name: string, path: string, framingOf: Stream["framingOf"], oneWay = false): Stream {
    const codecFor = oneWay ? () => uniCodec : codecOf;
    const framing = (upgrade: Upgrade) => framingOf(codecFor(upgrade));
    const endpoint: Endpoint = {
      name,
      path,
      maxMessageBytes,
      upgrade: (upgrade) =>
        framing(upgrade) === undefined
          ? refusal(400, "not_available", "This encoding is not available here")
          : undefined,
      framing: (upgrade) => framing(upgrade)!,
      open: (conn, upgrade) =>
        new CentrifugeSession(shared, conn, codecFor(upgrade), { emulated: !oneWay, oneWay }),
    };
    return { path, endpoint, codecOf: codecFor, framingOf };
  }

  /** Answers with a stream, and passes the first command from the request to its connection. */
  async function open(
    { endpoint, codecOf, framingOf }: Stream,
    request: Request,
    { ip, completed }: RequestInfo,
    read: (request: Request, codec: Codec) => Promise<Message | Response> | Message | Response,
  ): Promise<Response> {
    const cors = corsHeaders(request, allows);
    if (cors instanceof Response) return cors;
    const admission = await shared.host().admit(endpoint, request, ip);
    if (admission instanceof Response) return withHeaders(admission, cors);
    const codec = codecOf(admission.upgrade);
    const framing = framingOf(codec)!;
    const command = await read(request, codec);
    if (command instanceof Response) {
      admission.release();
      return withHeaders(command, cors);
    }
    // A client that stops reading keeps its socket, so it keeps its place too.
    const sent = completed?.() ?? Promise.resolve();
    const transport = streamTransport({
      framing,
      clock: shared.clock(),
      disconnect: codec.disconnect,
      ended(byClient) {
        void sent.then(admission.release);
        if (byClient) incoming.ended({ code: 1006, reason: "", by: "network" });
      },
    });
    const { connection, incoming } = admission.open(transport);
    inputs.set(connection, incoming);
    incoming.receive(command);
    const headers = { ...STREAM_HEADERS, "content-type": framing.contentType, ...cors };
    return new Response(transport.body, { headers });
  }

  /** Passes a message to the connection whose stream it belongs to. */
  async function emulate(request: Request): Promise<Response> {
    const codec = codecOf({ url: request.url, headers: request.headers, protocol: undefined });
    const message = await body(request, codec);
    if (message instanceof Response) return message;
    let decoded: EmulationRequest;
    try {
      decoded = codec.decodeEmulation(message);
    } catch {
      return refusal(400, "bad_request", "The body is not an emulation request");
    }
    if (decoded.node !== shared.node) return refusal(404, "unknown_node", "Unknown node");
    // A client whose session has ended learns it from the stream.
    const conn = shared.streams.get(decoded.session);
    if (conn !== undefined) inputs.get(conn)?.receive(decoded.frame);
    return new Response(null, { status: 204 });
  }

  function body(request: Request, { httpStream }: Codec): Promise<Message | Response> {
    const limits = { maxBytes: maxMessageBytes, timeoutMs: BODY_TIMEOUT_MS, clock: shared.clock() };
    const read: Promise<Message> = httpStream.accepts === "binary"
      ? readBytes(request, limits)
      : readText(request, limits);
    return read.catch(refusalFor);
  }
}

function headNotAllowed(): Response {
  return refusal(405, "method_not_allowed", "Use POST or GET", { allow: "POST, GET, OPTIONS" });
}

/** The connect command in the URL: an event source cannot send a body. */
function fromQuery(request: Request): string | Response {
  const command = new URL(request.url).searchParams.get("cf_connect") ?? "";
  if (command === "") return refusal(400, "bad_request", "The parameter cf_connect is missing");
  // A page whose host name resolves to our address sends no origin here, so it may do no more than listen.
  return command.includes("\n") ? refusal(400, "bad_request", "cf_connect is one command") : command;
}

function withHeaders(response: Response, headers: Record<string, string>): Response {
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}
