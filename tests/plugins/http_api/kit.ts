// deno-lint-ignore-file no-explicit-any -- tests read the answers by name
import { type Clock, Server } from "../../../core/mod.ts";
import { type Access, type ApiKey, auth } from "../../../plugins/auth.ts";
import { type Channels, channels, type ChannelsOptions } from "../../../plugins/channels.ts";
import { httpApi, type HttpApiOptions } from "../../../plugins/http_api.ts";
import { type LiveQueries, liveQueries } from "../../../plugins/live_queries.ts";
import { logging } from "../../../plugins/logging.ts";
import { persistence, type Store } from "../../../plugins/persistence.ts";
import { presence } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { type Rpc, rpc } from "../../../plugins/rpc.ts";
import { schedule, type ScheduleOptions } from "../../../plugins/schedule.ts";
import { stats } from "../../../plugins/stats.ts";
import { started, type TestServer } from "../../kit/mod.ts";
import { trace } from "../../../plugins/trace.ts";
import { webhooks } from "../../../plugins/webhooks.ts";
import { SECRET as HOOK_SECRET } from "../webhooks/kit.ts";
import { SECRET, token } from "../auth/kit.ts";
import { type SdkClient, sdkClient } from "../../kit/centrifuge.ts";

/** The key of a backend that may do everything. */
export const KEY = "k".repeat(32);

/** The answer to a request. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: any;
}

/** A server with the API and all its services. */
export interface ApiServer extends TestServer {
  readonly bus: Channels;
  readonly access: Access;
  readonly store: Store;
  readonly queries: LiveQueries;
  readonly methods: Rpc;
  /** Sends a request with the key; `params` may be the text of the body. */
  call(method: string, params: unknown, headers?: Record<string, string>): Promise<ApiAnswer>;
  /** Resolves to the result. Throws for any error. */
  result(method: string, params: unknown): Promise<any>;
  /** Connects a user with the SDK. */
  user(name: string): Promise<SdkClient>;
}

/** Options of {@linkcode apiServer}. */
export interface ApiServerOptions {
  apiKeys?: ApiKey[];
  path?: string;
  channels?: ChannelsOptions;
  api?: Partial<HttpApiOptions>;
  schedule?: Partial<ScheduleOptions>;
  clock?: Clock;
}

/** Starts the server. */
export async function apiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = new Server({
    port: 0,
    drainMs: 1_000,
    maxConnectionsPerIp: 10_000,
    ...(options.clock && { clock: options.clock }),
  });
  const log = server.use(logging({ write: () => {} }));
  const store = server.use(persistence({ path: options.path ?? ":memory:" }));
  const access = server.use(auth({
    jwt: { secret: SECRET },
    apiKeys: [{ name: "admin", key: KEY, permissions: ["admin"] }, ...options.apiKeys ?? []],
    keep: store.keyValues<string>("revocations"),
    keyStore: store.keyValues<string>("api_keys"),
  }));
  const bus = server.use(channels({ access, ...options.channels }));
  const people = server.use(presence({ channels: bus }));
  const numbers = server.use(
    stats({ channels: bus, access, allow: access.allowRequest("admin", "metrics") }),
  );
  const folder = await Deno.makeTempDir();
  const recordFile = `${folder}/recording.jsonl`;
  const tracing = server.use(trace({ channels: bus, recordFile }));
  const methods = server.use(rpc({ keep: store.keyValues("rpc") }));
  const queries = server.use(liveQueries({ store, channels: bus }));
  const services = { channels: bus, presence: people, rpc: methods, access };
  const later = server.use(schedule({ channels: bus, store, ...options.schedule }));
  // Nothing happens that it would get.
  const receiver = {
    name: "shop",
    url: "http://127.0.0.1:1",
    secrets: [HOOK_SECRET],
    events: ["cache_miss" as const],
  };
  const hooks = server.use(webhooks({ channels: bus, receivers: [receiver] }));
  const more = {
    queries,
    store,
    stats: numbers,
    schedule: later,
    webhooks: hooks,
    log,
    trace: tracing,
    settings: () => ["port=0"],
  };
  server.use(httpApi({ ...services, ...more, ...options.api }));
  server.use(centrifuge(services));
  const running = await started(server, options.clock);
  const stop = running[Symbol.asyncDispose];

  async function call(
    method: string,
    params: unknown,
    headers: Record<string, string> = {},
  ): Promise<ApiAnswer> {
    const response = await running.fetch(method === "" ? "/api" : `/api/${method}`, {
      method: "POST",
      headers: { "x-api-key": KEY, ...headers },
      body: typeof params === "string" ? params : JSON.stringify(params),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") && method !== "";
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }

  return Object.assign(running, {
    bus,
    access,
    store,
    queries,
    methods,
    call,
    async result(method: string, params: unknown) {
      const { status, body } = await call(method, params);
      if (status === 200 && method === "batch") return body.replies;
      if (status === 200 && "result" in body) return body.result;
      throw new Error(`${method} was answered with ${status} ${JSON.stringify(body)}`);
    },
    async user(name: string) {
      const client = sdkClient(running.url, "websocket", { token: await token({ sub: name }) });
      client.sdk.connect();
      await client.sdk.ready();
      return client;
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await Deno.remove(folder, { recursive: true });
    },
  });
}
