/**
 * A WebSocket server for query progress, table changes and collaboration, as one object. The app announces events, or
 * they come from its database; any `WebSocket` client receives them.
 *
 * ```ts
 * import { createWebSocketServer } from "@plugboard/server/websocket_server";
 *
 * const wsServer = createWebSocketServer({ port: 0, path: "/ws", heartbeatInterval: 30_000, maxConnections: 100 });
 *
 * wsServer.notifyQueryProgress({ queryId: "query-123", progress: 50, message: "Processing rows…", rowCount: 5000 });
 * wsServer.notifyTableCreated({ tableName: "users", userId: "user-456", timestamp: Date.now() });
 * console.log(`Connected clients: ${wsServer.getClientCount()}`);
 * await wsServer.stop();
 * ```
 *
 * The server wires plugins; its fields give access to them. Write your own wiring, as in `main.ts`, if you need another.
 * Clients speak the json protocol. They are subscribed to all four channels when they connect, change that with
 * `subscribe` and `unsubscribe`, and identify themselves by `?userId=` or a token.
 *
 * Two things are safer than in the original: the server listens on the loopback address unless `host` says otherwise,
 * and clients cannot publish on `queries`, `tables` and `notifications`.
 *
 * @module
 */

import type { WebSocketServerConfig } from "./websocket_server/config.ts";
import { WebSocketServer } from "./websocket_server/server.ts";

export type * from "../protocols/json/messages.ts";
export type { SignInConfig } from "./shared/sign_in.ts";
export type { WebSocketServerConfig } from "./websocket_server/config.ts";
export {
  type ClientInfo,
  type ClientRef,
  type OutgoingMessage,
  WebSocketServer,
} from "./websocket_server/server.ts";

/** Creates a server and starts it. Await `start` to learn when it listens, or why it cannot. */
export function createWebSocketServer(config?: WebSocketServerConfig): WebSocketServer {
  const server = new WebSocketServer(config);
  server.start();
  return server;
}

/** The part of a Hono app that is used here. */
export interface HonoApp {
  /** Adds a handler for a path. */
  all(
    path: string,
    handler: (c: { readonly req: { readonly raw: Request }; readonly env: unknown }) => Promise<Response>,
  ): unknown;
}

/** Options of a server inside another one, which has the port, the address and TLS. */
export type MountedConfig = Omit<
  WebSocketServerConfig,
  "port" | "path" | "enableWss" | "wssCertPath" | "wssKeyPath"
>;

/**
 * Mounts a server in a Hono app.
 *
 * ```ts no-assert
 * import { Hono } from "@hono/hono";
 * import { integrateWithHono } from "@plugboard/server/websocket_server";
 *
 * const app = new Hono();
 * app.get("/", (c) => c.text("the app"));
 * const wsServer = integrateWithHono({ app, path: "/ws", config: { maxConnections: 100 } });
 *
 * const http = Deno.serve({ port: 0, hostname: "127.0.0.1" }, app.fetch);
 * await http.shutdown();
 * await wsServer.stop();
 * ```
 */
export function integrateWithHono(
  { app, path = "/ws", config }: { app: HonoApp; path?: string; config?: MountedConfig },
): WebSocketServer {
  const server = createWebSocketServer({ ...config, path, port: false });
  app.all(path, ({ req, env }) => server.fetch(req.raw, env as Deno.ServeHandlerInfo | undefined));
  return server;
}

/**
 * Puts a server in front of a `Deno.serve` handler, which gets all other requests.
 *
 * ```ts no-assert
 * import { integrateWithServe } from "@plugboard/server/websocket_server";
 *
 * const { wsServer, handler } = integrateWithServe({ handler: () => new Response("the app"), path: "/ws" });
 *
 * const http = Deno.serve({ port: 0, hostname: "127.0.0.1" }, handler);
 * await http.shutdown();
 * await wsServer.stop();
 * ```
 */
export function integrateWithServe(
  { handler, path = "/ws", config }: { handler: Deno.ServeHandler; path?: string; config?: MountedConfig },
): { wsServer: WebSocketServer; handler: Deno.ServeHandler } {
  const wsServer = createWebSocketServer({ ...config, path, port: false });
  return {
    wsServer,
    handler: (request, info) =>
      new URL(request.url).pathname === path ? wsServer.fetch(request, info) : handler(request, info),
  };
}
