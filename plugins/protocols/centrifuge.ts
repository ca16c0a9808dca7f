/**
 * Centrifuge: channels, presence and RPC for the official Centrifuge SDKs, over WebSocket, HTTP streaming and
 * server-sent events.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { centrifuge } from "@plugboard/server/centrifuge";
 * import { channels } from "@plugboard/server/channels";
 * import { presence } from "@plugboard/server/presence";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels());
 * server.use(centrifuge({ channels: bus, presence: server.use(presence({ channels: bus })) }));
 * ```
 *
 * The client, with npm `centrifuge`:
 *
 * ```ts ignore
 * const client = new Centrifuge("ws://localhost:8080/connection/websocket");
 * const news = client.newSubscription("news");
 * news.on("publication", ({ data }) => console.log(data));
 * news.subscribe();
 * client.connect();
 * ```
 *
 * Clients choose JSON or Protobuf. Map subscriptions and polled subscriptions are not supported.
 *
 * @module
 */

import {
  built,
  checkOptions,
  type Connection,
  type Endpoint,
  type Host,
  type MaybePromise,
  type Message,
  type Plugin,
  type Upgrade,
} from "../../core/mod.ts";
import type { Channels, Client } from "../channels.ts";
import type { Presence } from "../presence.ts";
import type { RateLimits } from "../rate_limits.ts";
import type { Rpc } from "../rpc.ts";
import { Payload } from "../shared/payload.ts";
import type { Codec } from "./centrifuge/codec.ts";
import { disconnects, type ErrorReply, errorReply, uniDisconnect } from "./centrifuge/codes.ts";
import { localOrigins } from "./centrifuge/cors.ts";
import { jsonCodec } from "./centrifuge/json_codec.ts";
import { protobufCodec } from "./centrifuge/protobuf_codec.ts";
import { CentrifugeSession, type Shared } from "./centrifuge/session.ts";
import type { CentrifugeAccess } from "./centrifuge/sign_in.ts";
import { streams } from "./centrifuge/streams.ts";
import { uniCodec } from "./centrifuge/uni_codec.ts";

export type * from "./centrifuge/codec.ts";
export { DisconnectError, type ErrorReply } from "./centrifuge/codes.ts";
export { jsonCodec } from "./centrifuge/json_codec.ts";
export { protobufCodec } from "./centrifuge/protobuf_codec.ts";
export type { CentrifugeAccess } from "./centrifuge/sign_in.ts";

/** Options of {@linkcode centrifuge}. */
export interface CentrifugeOptions {
  /** What clients subscribe and publish to. */
  channels: Pick<Channels, "connect">;
  /** Lists who is in a channel; without it clients cannot ask. */
  presence?: Pick<Presence, "list" | "count"> | undefined;
  /** The methods that clients can call. */
  rpc?: Pick<Rpc, "call"> | undefined;
  /** Checks tokens; without it everybody may connect, and tokens are ignored. */
  access?: CentrifugeAccess | undefined;
  /** Answers commands beyond a rate limit; without it they get no reply. */
  limits?: Pick<RateLimits, "answerWith"> | undefined;
  /** Receives messages that belong to no channel; without it a client that sends one is disconnected. */
  onMessage?: (data: unknown, client: Client) => MaybePromise<void>;
  /** Encodings, the default one first. @default {[jsonCodec, protobufCodec]} */
  codecs?: readonly [Codec, ...Codec[]];
  /** Subscribe each user to the channel `#` and their id. @default {false} */
  personalChannels?: boolean;
  /** Maximum publications in one history result. @default {300} */
  maxHistory?: number;
  /** Maximum bytes of a message from a client. @default {65536} */
  maxMessageBytes?: number;
  /** Path of WebSockets. @default {"/connection/websocket"} */
  websocketPath?: string;
  /** Path of HTTP streams. @default {"/connection/http_stream"} */
  httpStreamPath?: string;
  /** Path of server-sent events. @default {"/connection/sse"} */
  ssePath?: string;
  /** Where clients of both streams send their messages. @default {"/emulation"} */
  emulationPath?: string;
  /** Path of WebSockets of clients that only receive. @default {"/connection/uni_websocket"} */
  uniWebsocketPath?: string;
  /** Path of HTTP streams of clients that only receive. @default {"/connection/uni_http_stream"} */
  uniHttpStreamPath?: string;
  /** Path of server-sent events of clients that only receive. @default {"/connection/uni_sse"} */
  uniSsePath?: string;
}

/** What the protocol offers to the app. */
export interface Centrifuge {
  /** Sends a message without a channel: the SDK's `message` event. Returns `false` if the client cannot receive it. */
  send(conn: Connection, data: unknown): boolean;
}

/** How often clients are checked that have not signed in. */
const SIGN_IN_SWEEP_MS = 1_000;

/** Speaks Centrifuge's protocol. */
export function centrifuge(options: CentrifugeOptions): Plugin<Centrifuge> {
  const {
    channels,
    presence,
    rpc,
    access,
    limits,
    onMessage,
    codecs = [jsonCodec, protobufCodec],
    personalChannels = false,
    maxHistory = 300,
    maxMessageBytes = 65_536,
    websocketPath = "/connection/websocket",
    httpStreamPath = "/connection/http_stream",
    ssePath = "/connection/sse",
    emulationPath = "/emulation",
    uniWebsocketPath = "/connection/uni_websocket",
    uniHttpStreamPath = "/connection/uni_http_stream",
    uniSsePath = "/connection/uni_sse",
  } = options;
  const check = checkOptions("centrifuge");
  check.positiveInteger("maxHistory", maxHistory);
  check.positiveInteger("maxMessageBytes", maxMessageBytes);
  const paths = { httpStreamPath, ssePath, emulationPath, uniHttpStreamPath, uniSsePath };
  for (const [name, path] of Object.entries({ websocketPath, uniWebsocketPath, ...paths })) {
    check.filled(name, path);
  }

  let host: Host;
  let endSweep = () => {};
  const shared: Shared = {
    channels,
    presence,
    rpc,
    access,
    onMessage,
    personalChannels,
    maxHistory,
    node: crypto.randomUUID(),
    streams: new Map(),
    unauthenticated: new Map(),
    host: () => host,
    clock: () => host.clock,
  };
  const codecOf = (request: Parameters<Codec["chosenBy"]>[0]) =>
    codecs.find((codec) => codec.chosenBy(request)) ?? codecs[0];
  const codecIn = ({ format }: Connection) =>
    [...codecs, uniCodec].find(({ framing }) => framing.format === format);
  const websocket: Endpoint = {
    name: "centrifuge",
    path: websocketPath,
    protocols: [...new Set([...codecs, protobufCodec].map(({ subprotocol }) => subprotocol))],
    maxMessageBytes,
    framing: (upgrade) => codecOf(upgrade).framing,
    open(conn, upgrade) {
      const codec = codecOf(upgrade);
      if (codec.subprotocol !== protobufCodec.subprotocol && protobufCodec.chosenBy(upgrade)) {
        // The client understands only a close code. After a refused request it would retry for ever.
        conn.close(disconnects.noProtobuf);
        return { message() {} };
      }
      return new CentrifugeSession(shared, conn, codec, { ownPings: !wantsFramePings(upgrade) });
    },
  };
  const uniWebsocket: Endpoint = {
    name: "centrifuge uni_websocket",
    path: uniWebsocketPath,
    maxMessageBytes,
    framing: () => uniCodec.framing,
    open(conn, { url }) {
      const session = new CentrifugeSession(shared, conn, uniCodec, { oneWay: true });
      const connect = new URL(url).searchParams.get("cf_connect");
      if (connect !== null) void session.message(connect);
      return session;
    },
  };
  const allows = access?.allowsOrigin ?? localOrigins;
  const overHttp = streams(shared, { ...paths, maxMessageBytes, allows, codecOf });

  const endpoints = [websocket, uniWebsocket, ...overHttp.endpoints];

  /** Replies to commands that were not run. */
  function refuse(conn: Connection, frame: Message, error: ErrorReply): void {
    const codec = codecIn(conn);
    if (codec === uniCodec) return conn.close(uniDisconnect(error));
    try {
      for (const { id } of codec?.decode(frame) ?? []) if (id > 0) conn.send(codec!.error(id, error));
    } catch { /* The rest of the frame is malformed. */ }
  }

  function disconnectUnauthenticated(): void {
    const now = host.clock.monotonicTime();
    for (const [session, until] of shared.unauthenticated) {
      if (until > now) return;
      session.timeOut();
    }
  }

  return built({
    name: "centrifuge",
    api: {
      send(conn, data) {
        const payload = Payload.of(data);
        const codec = codecIn(conn);
        if (codec === undefined || codec.refusal?.(payload) !== undefined) return false;
        return conn.send(codec.message(payload));
      },
    },
    endpoints: [websocket, uniWebsocket],
    start(given) {
      host = given;
      for (const endpoint of endpoints) {
        access?.signsInByMessage(endpoint);
        limits?.answerWith(endpoint, (conn, frame, error) => refuse(conn, frame, errorReply(error)!));
      }
      endSweep = given.clock.every(SIGN_IN_SWEEP_MS, disconnectUnauthenticated);
    },
    stop: () => endSweep(),
    routes: overHttp.routes,
  }, options);
}

/** Whether the client wants to be pinged by frames of the WebSocket, which browsers answer by themselves. */
function wantsFramePings({ url }: Upgrade): boolean {
  const name = "cf_ws_frame_ping_pong";
  return url.includes(name) && new URL(url).searchParams.get(name) === "true";
}
