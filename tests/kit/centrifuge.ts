import { Centrifuge, type EventMap, type Options, type TypedEventEmitter } from "centrifuge";
import { type AnyPlugin, type Connection, PlugboardError, type ServerOptions } from "../../core/mod.ts";
import type { SignIn } from "../../plugins/auth.ts";
import { type Channels, channels, type ChannelsOptions } from "../../plugins/channels.ts";
import { type Presence, presence } from "../../plugins/presence.ts";
import {
  type Centrifuge as CentrifugeApi,
  centrifuge,
  type CentrifugeAccess,
  type CentrifugeOptions,
} from "../../plugins/protocols/centrifuge.ts";
import { type Rpc, rpc } from "../../plugins/rpc.ts";
import { type LineClient, PROTOBUF, protobufClient } from "./protobuf_client.ts";
import { JsonProtobufSdk } from "./protobuf_sdk.ts";
import { serve, type TestServer } from "./server.ts";
import { Inbox, until } from "./wait.ts";

/** The transports of the SDK and their paths. */
export const TRANSPORTS = {
  websocket: "/connection/websocket",
  http_stream: "/connection/http_stream",
  sse: "/connection/sse",
} as const;

/** The name of a transport. */
export type TransportName = keyof typeof TRANSPORTS;

/** The names of all transports. */
export const transportNames = Object.keys(TRANSPORTS) as TransportName[];

/** How a client of the SDK connects: over a transport, in JSON or Protobuf. */
export type Way = TransportName | "websocket in Protobuf" | "http_stream in Protobuf";

/** All ways to connect. */
export const ways: readonly Way[] = [...transportNames, "websocket in Protobuf", "http_stream in Protobuf"];

/** The transport of a way to connect. */
export function transportOf(way: Way): TransportName {
  return way.split(" ")[0] as TransportName;
}

/** The row of the table of features that a way to connect belongs to. */
export function rowOf(way: Way): string {
  return way.endsWith("Protobuf") ? "B17" : way === "websocket" ? "B01" : "B03";
}

/** A server with the protocol, and the services behind it. */
export interface CentrifugeServer extends AsyncDisposable {
  readonly test: TestServer;
  readonly url: string;
  readonly bus: Channels;
  readonly people: Presence;
  readonly methods: Rpc;
  readonly protocol: CentrifugeApi;
}

/** Starts a server with all services and encodings. */
export async function centrifugeServer(
  options: {
    server?: ServerOptions;
    channels?: ChannelsOptions;
    centrifuge?: Partial<CentrifugeOptions>;
    rpcTimeoutMs?: number;
    plugins?: readonly AnyPlugin[];
  } = {},
): Promise<CentrifugeServer> {
  const bus = channels(options.channels);
  const people = presence({ channels: bus.api });
  const methods = rpc(options.rpcTimeoutMs === undefined ? {} : { timeoutMs: options.rpcTimeoutMs });
  const protocol = centrifuge({
    channels: bus.api,
    presence: people.api,
    rpc: methods.api,
    ...options.centrifuge,
  });
  const test = await serve(options.server ?? {}, ...options.plugins ?? [], bus, people, methods, protocol);
  return {
    test,
    url: test.url,
    bus: bus.api,
    people: people.api,
    methods: methods.api,
    protocol: protocol.api,
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

/** The encodings that tests use. */
const encodings = ["json", "protobuf"] as const;

/** The name of an encoding. */
export type Encoding = typeof encodings[number];

/** The same test in each encoding. The row of a promise stays in front. */
export function inEach(promise: string, run: (encoding: Encoding) => Promise<void>): void {
  for (const encoding of encodings) {
    const name = promise.replace(/^([A-Z]\d\d )?/, `$1${encoding}: `);
    Deno.test(name, () => run(encoding));
  }
}

/** Opens a WebSocket that uses an encoding; the client has not signed in yet. */
export async function connectIn({ test }: CentrifugeServer, encoding: Encoding): Promise<LineClient> {
  const client = await test.connect(TRANSPORTS.websocket, encoding === "protobuf" ? [PROTOBUF] : []);
  return encoding === "protobuf" ? protobufClient(client) : client;
}

/** Collects the events of an SDK object, to be awaited one by one. */
export function heard<Events extends EventMap, E extends keyof Events>(
  emitter: TypedEventEmitter<Events>,
  event: E,
): Inbox<Parameters<Events[E]>[0]> {
  const inbox = new Inbox<Parameters<Events[E]>[0]>();
  emitter.on(event, ((context: Parameters<Events[E]>[0]) => inbox.put(context)) as Events[E]);
  return inbox;
}

/** A client of the SDK that closes its connections at the end of the block. */
export interface SdkClient extends AsyncDisposable {
  readonly sdk: Centrifuge;
}

/** Fetches, and cancels the bodies that the SDK does not read: they would count as leaked. */
export async function tidyFetch(...request: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...request);
  if (response.status === 204 || !response.ok) await response.body?.cancel();
  return response;
}

/** Makes a client of the official SDK. It is not connected yet. */
export function sdkClient(
  url: string,
  way: Way = "websocket",
  options: Partial<Options> = {},
  Sdk: typeof Centrifuge = way.endsWith("Protobuf") ? JsonProtobufSdk : Centrifuge,
): SdkClient {
  const transport = transportOf(way);
  const open = new Set<object>();
  class TrackedSocket extends WebSocket {
    constructor(endpoint: string, protocols: string | string[] = []) {
      super(endpoint, protocols);
      open.add(this);
      this.addEventListener("close", () => open.delete(this));
    }
  }
  const endpoint = (transport === "websocket" ? url.replace(/^http/, "ws") : url) + TRANSPORTS[transport];
  const sdk = new Sdk([{ transport, endpoint }], {
    emulationEndpoint: url + "/emulation",
    websocket: TrackedSocket,
    fetch: tidyFetch,
    minReconnectDelay: 1,
    maxReconnectDelay: 100,
    ...options,
  });
  return {
    sdk,
    async [Symbol.asyncDispose]() {
      sdk.disconnect();
      await until("closing the sockets", () => open.size === 0);
    },
  };
}

/** The claims of a token of {@linkcode fakeAccess}. */
export interface FakeToken {
  readonly user: string;
  readonly channels?: readonly string[];
  readonly expiresInMs?: number;
  /** The claims of a subscription token. */
  readonly grant?: { readonly chanInfo?: string; readonly data?: string; readonly expiresInMs?: number };
}

/** A sign-in whose tokens are the keys of an object. Others are invalid, and `expired` has expired. */
export function fakeAccess(tokens: Record<string, FakeToken>): CentrifugeAccess {
  const read = (token: string | undefined): FakeToken => {
    if (token === "expired") throw new PlugboardError("token_expired", "The token has expired");
    const found = tokens[token ?? ""];
    if (found === undefined) {
      throw token === undefined
        ? new PlugboardError("unauthorized", "A token is needed")
        : new PlugboardError("invalid_token", "The token is not valid");
    }
    return found;
  };
  const until = (ms: number | undefined) => ms === undefined ? {} : { expiresAt: Date.now() + ms };
  const signIn = ({ user, channels = [], expiresInMs }: FakeToken): SignIn => ({
    identity: { user, can: () => true, info: JSON.stringify({ name: user }), ...until(expiresInMs) },
    permissions: ["*"],
    channels: new Map(channels.map((channel) => [channel, {}])),
  });
  const users = new WeakMap<Connection, string>();
  return {
    // deno-lint-ignore require-await -- a promise by type
    async connect(conn, { token } = {}) {
      const found = read(token);
      users.set(conn, found.user);
      return signIn(found);
    },
    // deno-lint-ignore require-await -- a promise by type
    async refresh(conn, token) {
      const found = read(token);
      if (found.user !== users.get(conn)) throw new PlugboardError("token_mismatch", "Another user's token");
      return signIn(found);
    },
    // deno-lint-ignore require-await -- a promise by type
    async verifySubscription(token, { user }) {
      const { user: owner, grant: { expiresInMs, ...grant } = {} } = read(token);
      if (owner !== user) throw new PlugboardError("token_mismatch", "Another user's token");
      return { grant: { ...grant, ...until(expiresInMs) } };
    },
    signsInByMessage() {},
    allowsOrigin: (headers) => headers.get("origin") !== "https://evil.example",
  };
}
