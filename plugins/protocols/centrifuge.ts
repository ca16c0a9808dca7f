/**
 * Centrifuge: channels, presence and calls for the official Centrifuge SDKs, in JSON, over WebSocket, HTTP
 * streaming and server-sent events.
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
 * The client's side, with npm `centrifuge`:
 *
 * ```ts ignore
 * const client = new Centrifuge("ws://localhost:8080/connection/websocket");
 * const news = client.newSubscription("news");
 * news.on("publication", ({ data }) => console.log(data));
 * news.subscribe();
 * client.connect();
 * ```
 *
 * Map subscriptions, polled subscriptions, delta compression and the binary encoding are not spoken.
 *
 * @module
 */

import {
  checkOptions,
  type Connection,
  type Endpoint,
  type Framing,
  type Host,
  type MaybePromise,
  PlugboardError,
  type Plugin,
  refusal,
  type Upgrade,
} from "../../core/mod.ts";
import type { Channels, Client } from "../channels.ts";
import type { Presence } from "../presence.ts";
import type { Rpc } from "../rpc.ts";
import { localOrigins } from "./centrifuge/cors.ts";
import { messagePush } from "./centrifuge/encoding.ts";
import { CentrifugeSession, type Shared } from "./centrifuge/session.ts";
import type { CentrifugeAccess } from "./centrifuge/sign_in.ts";
import { streams } from "./centrifuge/streams.ts";

export type { CentrifugeAccess } from "./centrifuge/sign_in.ts";

/** Options of {@linkcode centrifuge}. */
export interface CentrifugeOptions {
  /** What clients subscribe and publish to. */
  channels: Pick<Channels, "connect">;
  /** Who is in a channel; without it clients cannot ask. */
  presence?: Pick<Presence, "list" | "count"> | undefined;
  /** The methods clients can call; without it there are none. */
  rpc?: Pick<Rpc, "call"> | undefined;
  /** Checks tokens; without it everybody may come in, and tokens count for nothing. */
  access?: CentrifugeAccess | undefined;
  /** Takes messages that belong to no channel; without it a client that sends one is disconnected. */
  onMessage?: (data: unknown, client: Client) => MaybePromise<void>;
  /** Subscribe each user to the channel `#` and their id. @default {false} */
  personalChannels?: boolean;
  /** Most publications in the answer to one history. @default {300} */
  maxHistory?: number;
  /** What clients are told about pings; must be the server's own `pingIntervalMs`. @default {25000} */
  pingIntervalMs?: number;
  /** Bytes of one message from a client. @default {65536} */
  maxMessageBytes?: number;
  /** Where WebSockets connect. @default {"/connection/websocket"} */
  websocketPath?: string;
  /** Where HTTP streams connect. @default {"/connection/http_stream"} */
  httpStreamPath?: string;
  /** Where event sources connect. @default {"/connection/sse"} */
  ssePath?: string;
  /** Where clients of either send to. @default {"/emulation"} */
  emulationPath?: string;
}

/** What the protocol offers to the app. */
export interface Centrifuge {
  /** Sends something that belongs to no channel: the SDK's `message` event. `false` if the client cannot hear it. */
  send(conn: Connection, data: unknown): boolean;
}

/** How often to look for clients that do not sign in. */
const STRANGER_SWEEP_MS = 1_000;

/** Speaks Centrifuge's protocol. */
export function centrifuge(options: CentrifugeOptions): Plugin<Centrifuge> {
  const {
    channels,
    presence,
    rpc,
    access,
    onMessage,
    personalChannels = false,
    maxHistory = 300,
    pingIntervalMs = 25_000,
    maxMessageBytes = 65_536,
    websocketPath = "/connection/websocket",
    httpStreamPath = "/connection/http_stream",
    ssePath = "/connection/sse",
    emulationPath = "/emulation",
  } = options;
  const check = checkOptions("centrifuge");
  check.positiveInteger("maxHistory", maxHistory);
  check.positiveInteger("maxMessageBytes", maxMessageBytes);
  check.that(
    pingIntervalMs >= 1_000,
    "pingIntervalMs",
    "at least 1000, clients are told seconds",
    pingIntervalMs,
  );
  for (const [name, path] of Object.entries({ websocketPath, httpStreamPath, ssePath, emulationPath })) {
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
    pingSeconds: Math.ceil(pingIntervalMs / 1000),
    node: crypto.randomUUID(),
    streams: new Map(),
    incoming: new WeakMap(),
    strangers: new Map(),
    host: () => host,
    clock: () => host.clock,
  };
  /** The three ways of connecting carry the same messages, so that each is encoded once for all. */
  const framing: Framing<"text"> = {
    accepts: "text",
    format: Symbol("centrifuge json"),
    join: (messages) => messages.join("\n"),
  };
  const websocket: Endpoint = {
    name: "centrifuge",
    path: websocketPath,
    protocols: ["centrifuge-json"],
    maxMessageBytes,
    upgrade: refuseBinary,
    framing: () => framing,
    open: (conn) => new CentrifugeSession(shared, conn, false),
  };
  const allows = access?.allowsOrigin ?? localOrigins;
  const overHttp = streams(shared, {
    httpStreamPath,
    ssePath,
    emulationPath,
    maxMessageBytes,
    allows,
    format: framing.format,
  });

  function disconnectStrangers(): void {
    const now = host.clock.now();
    for (const [session, until] of shared.strangers) {
      if (until > now) return;
      session.stale();
    }
  }

  return {
    name: "centrifuge",
    api: {
      send(conn, data) {
        const json = JSON.stringify(data);
        if (json === undefined) throw new PlugboardError("bad_request", "The message is not JSON");
        return conn.format === framing.format && conn.send(messagePush(json));
      },
    },
    endpoints: [websocket],
    start(given) {
      host = given;
      for (const endpoint of [websocket, ...overHttp.endpoints]) access?.signsInByMessage(endpoint);
      endSweep = given.clock.every(STRANGER_SWEEP_MS, disconnectStrangers);
    },
    stop: () => endSweep(),
    routes: overHttp.routes,
  };
}

/** The SDKs say in the URL that they want the binary encoding; better no connection than garbage on one. */
function refuseBinary({ url, offered }: Upgrade): Response | undefined {
  const query = new URL(url).searchParams;
  const asked = query.get("format") === "protobuf" || query.get("cf_protocol") === "protobuf";
  const only = offered.includes("centrifuge-protobuf") && !offered.includes("centrifuge-json");
  if (asked || only) return refusal(400, "not_available", "Only the JSON encoding is spoken here");
}
