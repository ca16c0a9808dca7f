/**
 * Traces: what a service does, call by call; and what becomes of one client's or one channel's messages.
 *
 * A traced service leaves a record when a call begins (`ENTER`) and when it ends (`EXIT`) or fails (`EXCEPTION`), as
 * lines of JSON. Calls that one call leads to have the same `thread`, also after an `await`. Secrets are left out,
 * and long arguments are shortened.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { trace } from "@plugboard/server/trace";
 *
 * const server = new Server({ port: 0 });
 * const { traced } = server.use(trace({ output: (line) => console.log(line) }));
 *
 * const greeter = traced("Greeter", { greet: (name: string) => `Hello, ${name}!` });
 * greeter.greet("Alice");
 * // {"timestamp":…,"event":"ENTER","thread":"1","class":"Greeter","function":"greet","args":"{\"name\":\"Alice\"}"}
 * // {"timestamp":…,"event":"EXIT","thread":"1",…,"result":"\"Hello, Alice!\"","durationMicros":21,"durationMillis":0}
 * ```
 *
 * `GET /api/trace?client=…` or `?channel=…` follows one of them while it happens, a line of JSON for each step; it
 * costs nothing while nobody follows. Use this plugin before those it is to see everything of: a message that an
 * earlier plugin drops is not seen here.
 *
 * @module
 */

import {
  checkOptions,
  type Connection,
  type Host,
  type MaybePromise,
  type Message,
  PlugboardError,
  type Plugin,
  refusal,
  systemClock,
} from "../core/mod.ts";
import type { Channels } from "./channels.ts";
import { type Around, nested, recordCalls, traceCalls } from "./trace/calls.ts";
import { type FileOptions, type LineSink, openFile } from "./trace/file.ts";
import { channelEvents, followers, type FollowEvent, type FollowTarget } from "./trace/follow.ts";
import { plainWriter } from "./trace/plain.ts";
import { makeSpans } from "./trace/spans.ts";
import { followStream, STREAM_HEADERS } from "./trace/stream.ts";

export type { TraceRecord } from "./trace/calls.ts";
export type { FileOptions } from "./trace/file.ts";
export type { FollowEvent, FollowTarget } from "./trace/follow.ts";

/** Options of {@linkcode trace}. */
export interface TraceOptions {
  /** Where the records of calls go. @default {nowhere: a traced service is the service itself} */
  output?: "stdout" | FileOptions | ((line: string) => void);
  /** Also make OpenTelemetry spans; needs the runtime's `OTEL_DENO=true`. @default {false} */
  otel?: boolean;
  /** The channels to follow, and to make spans of. */
  channels?: Pick<Channels, "extend" | "clientOf">;
  /** Whether a caller may follow clients and channels. @default {nobody may} */
  allow?: (request: Request, ip: string) => MaybePromise<boolean>;
  /** Where to follow them. @default {"/api/trace"} */
  path?: string;
  /** How many may follow at once. @default {16} */
  maxFollowers?: number;
  /** Characters of the arguments of a call, or of its result. @default {1000} */
  maxChars?: number;
  /** Words in the names of fields and parameters that hold secrets, beside the usual ones. */
  secretNames?: readonly string[];
}

/** What trace offers to other plugins and to the app. */
export interface Trace {
  /** The service with each of its calls traced; the service itself where nothing is. */
  traced<Service extends object>(name: string, service: Service): Service;
  /** Calls back for what happens to a client or in a channel. Returns the function that ends it. */
  follow(target: FollowTarget, listener: (event: FollowEvent) => void): () => void;
}

/** Writes down what happens. */
export function trace(options: TraceOptions = {}): Plugin<Trace> {
  const { output, otel = false, channels, allow = () => false, path = "/api/trace" } = options;
  const { maxFollowers = 16, maxChars = 1_000, secretNames = [] } = options;
  const check = checkOptions("trace");
  check.positiveInteger("maxFollowers", maxFollowers);
  check.positiveInteger("maxChars", maxChars);
  const file = typeof output === "object" ? { maxBytes: 2 ** 26, keep: 3, ...output } : undefined;
  if (file !== undefined) {
    check.filled("output.file", file.file);
    check.positiveInteger("output.maxBytes", file.maxBytes);
    check.wholeNumber("output.keep", file.keep);
  }

  let host: Host | undefined;
  let sink: LineSink | undefined;
  let release: (() => void)[] = [];
  const clock = () => host?.clock ?? systemClock;
  const writer = plainWriter({ maxChars, secretNames });
  const spans = otel ? makeSpans(writer, clock) : undefined;
  const streams = new Set<() => void>();

  const watching = followers({
    clock,
    watch: () => channels?.extend(channelEvents(watching, channels, writer)) ?? (() => {}),
    failed: (error) => host?.log.error("a listener that follows others failed", { error }),
  });

  function write(line: string): void {
    if (typeof output === "function") output(line);
    // deno-lint-ignore no-console -- the standard output was asked for
    else if (output === "stdout") console.log(line);
    else sink?.write(line);
  }

  const arounds: Around[] = [];
  if (output !== undefined) {
    arounds.push(recordCalls({
      writer,
      now: () => clock().now(),
      write: (record) => write(JSON.stringify(record)),
    }));
  }
  if (spans !== undefined) arounds.push(spans.around);

  /** A proof that is worth nothing may be told by a throw, as sign-in does. */
  async function mayFollow(request: Request, ip: string): Promise<boolean> {
    try {
      return await allow(request, ip);
    } catch (error) {
      if (error instanceof PlugboardError) return false;
      throw error;
    }
  }

  async function answer(request: Request, ip: string): Promise<Response> {
    if (!await mayFollow(request, ip)) {
      return refusal(403, "permission_denied", "Only admins may follow others");
    }
    const query = new URL(request.url).searchParams;
    const [client, channel] = [query.get("client"), query.get("channel")];
    if (!client && !channel) return refusal(400, "bad_request", "Follow what? ?client=… or ?channel=…");
    if (watching.size >= maxFollowers) return refusal(429, "too_many_requests", "Too many follow already");
    // Whoever asks for the head alone never reads, or ends, a stream.
    if (request.method === "HEAD") return new Response(null, { headers: STREAM_HEADERS });
    const target = { ...(client && { client }), ...(channel && { channel }) };
    const { response, end } = followStream(watching, target, () => void streams.delete(end));
    streams.add(end);
    return response;
  }

  const endStreams = () => {
    for (const end of streams) end();
  };

  return {
    name: "trace",
    api: {
      traced: (name, service) => arounds.length === 0 ? service : traceCalls(name, service, nested(arounds)),
      follow: (target, listener) => watching.add(target, listener),
    },
    start(given) {
      host = given;
      if (file !== undefined) {
        sink = openFile(
          file,
          given.clock,
          (error) => given.log.error("the trace cannot be written", { error }),
        );
      }
      if (spans === undefined) return;
      release = [given.clock.every(10_000, () => spans.sweep())];
      if (channels !== undefined) release.push(channels.extend(spans.extension));
    },
    drain: endStreams,
    stop() {
      endStreams();
      for (const end of release.splice(0)) end();
      sink?.close();
    },
    routes(app) {
      spans?.addRoutes(app);
      app.get(path, (c) => answer(c.req.raw, c.env.ip));
    },
    open(conn, { url }) {
      if (watching.size === 0) return;
      const detail = () => ({ protocol: conn.endpoint.name, ip: conn.ip, url: writer.text(url) });
      watching.tell({ event: "open", client: conn.id, detail });
    },
    message(conn, data) {
      if (watching.size === 0) return;
      watching.tell({ event: "message", client: conn.id, detail: () => ({ data: shown(data) }) });
    },
    close(conn: Connection, { code, reason, by }) {
      if (watching.size === 0) return;
      watching.tell({ event: "close", client: conn.id, detail: () => ({ code, reason, by }) });
    },
  };

  function shown(data: Message): string {
    return typeof data === "string" ? writer.text(data) : `[${data.length} bytes]`;
  }
}
