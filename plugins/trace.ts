/**
 * Traces: records the calls of a service, and follows the messages of a client or channel.
 *
 * A traced service writes a line of JSON when a call begins (`ENTER`), returns (`EXIT`) or fails (`EXCEPTION`). Nested
 * calls have the same `thread`, also after an `await`. Secrets are redacted, and long arguments are shortened.
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
 * `GET /api/trace?client=…` or `?channel=…` streams the events of a client or channel as lines of JSON. It costs
 * nothing without followers. Use this plugin early: it does not see messages that an earlier plugin drops.
 *
 * @module
 */

import {
  built,
  checkOptions,
  type Host,
  type MaybePromise,
  PlugboardError,
  type Plugin,
  refusal,
  systemClock,
} from "../core/mod.ts";
import type { Channels } from "./channels.ts";
import { PlainWriter } from "./shared/plain.ts";
import { type Around, nested, recordCalls, traceCalls } from "./trace/calls.ts";
import { type FileOptions, openFile } from "./trace/file.ts";
import { channelEvents, followers, type FollowEvent, type FollowTarget } from "./trace/follow.ts";
import { createRecorder, type Recorder } from "./trace/recorder.ts";
import { createSpans } from "./trace/spans.ts";
import { followStream, STREAM_HEADERS } from "./trace/stream.ts";

export type { TraceRecord } from "./trace/calls.ts";
export type { FileOptions } from "./trace/file.ts";
export type { FollowEvent, FollowTarget } from "./trace/follow.ts";
export type { Recorder, Recording } from "./trace/recorder.ts";

/** Options of {@linkcode trace}. */
export interface TraceOptions {
  /** Receives the records of calls. @default {none: services are not traced} */
  output?: "stdout" | FileOptions | ((line: string) => void);
  /** Whether to create OpenTelemetry spans; needs the runtime's `OTEL_DENO=true`. @default {false} */
  otel?: boolean;
  /** The channels to follow and to create spans for. */
  channels?: Pick<Channels, "extend" | "clientOf">;
  /** Returns whether a caller may follow clients and channels. @default {none may} */
  allow?: (request: Request, ip: string) => MaybePromise<boolean>;
  /** The file of the flight recorder. @default {none: nothing can be recorded} */
  recordFile?: string | undefined;
  /** Whether the flight recorder starts with the server. @default {false} */
  alwaysRecord?: boolean;
  /** How much the flight recorder keeps. @default {16777216} 16 MiB */
  maxRecordBytes?: number;
  /** The path of the stream. @default {"/api/trace"} */
  path?: string;
  /** Maximum number of followers, and of downloads of the recording. @default {16} */
  maxFollowers?: number;
  /** Maximum characters of the arguments or the result of a call. @default {1000} */
  maxChars?: number;
  /** Additional words in names of fields and parameters that hold secrets. */
  secretNames?: readonly string[];
}

/** Maximum characters of a payload or a message that followers get. */
const MAX_FOLLOWED = 4_000;

/** What trace offers to other plugins and to the app. */
export interface Trace {
  /** Returns the service with its calls traced, or the service itself if there is no output. */
  traced<Service extends object>(name: string, service: Service): Service;
  /** Calls back for each event of a client or channel. Returns a function that ends it. */
  follow(target: FollowTarget, listener: (event: FollowEvent) => void): () => void;
  /** Keeps the latest traces on disk. */
  readonly recorder: Recorder;
}

/** Records calls and follows clients and channels. */
export function trace(options: TraceOptions = {}): Plugin<Trace> {
  const { output, otel = false, channels, allow = () => false, path = "/api/trace" } = options;
  const { maxFollowers = 16, maxChars = 1_000, secretNames = [] } = options;
  const { recordFile, maxRecordBytes = 16_777_216, alwaysRecord = false } = options;
  const check = checkOptions("trace");
  check.positiveInteger("maxFollowers", maxFollowers);
  check.positiveInteger("maxChars", maxChars);
  check.positiveInteger("maxRecordBytes", maxRecordBytes);
  check.that(
    !alwaysRecord || recordFile !== undefined,
    "alwaysRecord",
    "false without a recordFile",
    alwaysRecord,
  );
  const file = typeof output === "object" ? { maxBytes: 2 ** 26, keep: 3, ...output } : undefined;
  if (file !== undefined) {
    check.filled("output.file", file.file);
    check.positiveInteger("output.maxBytes", file.maxBytes);
    check.wholeNumber("output.keep", file.keep);
  }

  let host: Host | undefined;
  let sink: ReturnType<typeof openFile> | undefined;
  let release: (() => void)[] = [];
  const clock = () => host?.clock ?? systemClock;
  const writer = new PlainWriter({ maxText: 200, maxTotal: maxChars, secretNames, brief: true });
  /** Followers read whole payloads, as far as they are not huge. */
  const reading = new PlainWriter({ maxText: MAX_FOLLOWED, maxTotal: maxChars, secretNames, brief: true });
  const spans = otel ? createSpans(writer) : undefined;
  const streams = new Set<() => void>();
  let downloads = 0;

  const following = followers({
    clock,
    watch: () => channels?.extend(channelEvents(following, channels, reading)) ?? (() => {}),
    failed: (error) => host?.log.error("a follower failed", { error }),
  });

  const recorder = createRecorder({
    file: recordFile,
    maxBytes: maxRecordBytes,
    following,
    clock,
    failed: (error) => host?.log.error("cannot write the recording", { error }),
  });

  function write(line: string): void {
    if (typeof output === "function") output(line);
    // deno-lint-ignore no-console -- the option asks for the standard output
    else if (output === "stdout") console.log(line);
    else sink?.write(line);
  }

  const arounds: Around[] = [];
  if (output !== undefined) {
    arounds.push(recordCalls({
      writer,
      now: () => clock().wallTime(),
      write: (record) => write(JSON.stringify(record)),
    }));
  }
  if (spans !== undefined) arounds.push(spans.around);

  /** Sign-in reports invalid credentials by an error. */
  async function mayFollow(request: Request, ip: string): Promise<boolean> {
    try {
      return await allow(request, ip);
    } catch (error) {
      if (error instanceof PlugboardError) return false;
      throw error;
    }
  }

  function isFull(): boolean {
    return following.size - (recorder.status().running ? 1 : 0) + downloads >= maxFollowers;
  }

  async function answer(request: Request, ip: string): Promise<Response> {
    if (!await mayFollow(request, ip)) {
      return refusal(403, "permission_denied", "Only admins may follow clients and channels");
    }
    const query = new URL(request.url).searchParams;
    const [client, channel] = [query.get("client"), query.get("channel")];
    if (!client && !channel) return refusal(400, "bad_request", "Add ?client=… or ?channel=…");
    if (isFull()) return refusal(429, "too_many_requests", "Too many followers");
    // A stream for HEAD would never be read or cancelled.
    if (request.method === "HEAD") return new Response(null, { headers: STREAM_HEADERS });
    const target = { ...(client && { client }), ...(channel && { channel }) };
    const { response, end } = followStream(following, target, () => void streams.delete(end));
    streams.add(end);
    return response;
  }

  async function answerRecording(request: Request, ip: string): Promise<Response> {
    if (!await mayFollow(request, ip)) {
      return refusal(403, "permission_denied", "Only admins may read the recording");
    }
    if (recordFile === undefined) return refusal(404, "not_available", "There is no flight recorder");
    if (isFull()) return refusal(429, "too_many_requests", "Too many followers");
    const headers = { ...STREAM_HEADERS, "content-disposition": 'attachment; filename="recording.jsonl"' };
    if (request.method === "HEAD") return new Response(null, { headers });
    downloads++;
    return new Response(recorder.read(() => void downloads--), { headers });
  }

  const endStreams = () => {
    for (const end of streams) end();
  };

  return built({
    name: "trace",
    api: {
      traced: (name, service) => arounds.length === 0 ? service : traceCalls(name, service, nested(arounds)),
      follow: (target, listener) => following.add(target, listener),
      recorder,
    },
    start(given) {
      host = given;
      if (file !== undefined) {
        sink = openFile(
          file,
          given.clock,
          (error) => given.log.error("cannot write the trace", { error }),
        );
      }
      if (alwaysRecord) recorder.start();
      if (spans === undefined) return;
      release = [given.clock.every(10_000, () => spans.sweep())];
      if (channels !== undefined) release.push(channels.extend(spans.extension));
    },
    drain: endStreams,
    stop() {
      endStreams();
      recorder.stop();
      for (const end of release.splice(0)) end();
      sink?.close();
    },
    routes(app) {
      spans?.addRoutes(app);
      app.get(path, (c) => answer(c.req.raw, c.env.ip));
      app.get(`${path}/recording`, (c) => answerRecording(c.req.raw, c.env.ip));
    },
    open(conn, { url }) {
      if (following.size === 0) return;
      const detail = () => ({ protocol: conn.endpoint.name, ip: conn.ip, url: writer.text(url) });
      following.emit({ event: "open", client: conn.id, detail });
    },
    message(conn, data) {
      if (following.size === 0) return;
      const detail = () => ({
        data: typeof data === "string" ? reading.text(data) : `[${data.length} bytes]`,
      });
      following.emit({ event: "message", client: conn.id, detail });
    },
    close(conn, { code, reason, by }) {
      if (following.size === 0) return;
      following.emit({ event: "close", client: conn.id, detail: () => ({ code, reason, by }) });
    },
  }, options);
}
