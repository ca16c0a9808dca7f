/**
 * The router: which request goes where.
 *
 * @module
 */

import { Hono } from "@hono/hono";
import { getPath } from "@hono/hono/utils/url";
import type { ConnectionHooks } from "../connections/server_connection.ts";
import type { Connection } from "../contract/connection.ts";
import type { Endpoint } from "../contract/endpoint.ts";
import { PlugboardError, refusal, startFailed } from "../contract/errors.ts";
import type { AnyPlugin, App } from "../contract/plugin.ts";
import type { Gate } from "./gate.ts";

/** How a request finds its endpoint, and what became of it. */
interface SocketBindings {
  readonly ip: string;
  /** The request as it came; the runtime can upgrade no other. */
  readonly original?: Request;
  /** Set where it was accepted elsewhere. */
  readonly socket?: WebSocket;
  upgraded?: Response;
  connection?: Connection;
}

/**
 * WebSockets come to endpoints under a method name of their own. So a page and an endpoint may share a path, while
 * middleware that a plugin puts around everything is around the endpoints, too.
 */
const SOCKET = "SOCKET";

/** The one Hono app: the plugins' routes, and their endpoints. */
export class Router {
  readonly #app = new Hono<{ Bindings: SocketBindings }>({
    // Not a copy's path: dots and backslashes are resolved in it, so that it may lead to somebody else.
    getPath: (request, options) => getPath(options?.env?.original ?? request),
  });
  readonly #gate: Gate;

  constructor(plugins: readonly AnyPlugin[], gate: Gate, hooks: ConnectionHooks) {
    this.#gate = gate;
    for (const plugin of plugins) {
      try {
        plugin.routes?.(this.#app as unknown as App);
        for (const endpoint of plugin.endpoints ?? []) this.#mount(endpoint);
      } catch (error) {
        throw startFailed(plugin.name, error);
      }
    }
    // After all routes, which may be at the same paths.
    for (const { path } of plugins.flatMap(({ endpoints = [] }) => endpoints)) {
      this.#app.on("GET", [path].flat(), upgradeRequired);
    }
    this.#app.notFound(() => refusal(404, "not_found", "There is nothing at this path"));
    this.#app.onError((error) => {
      // Hono's own middleware refuses with errors that know their response.
      if ("getResponse" in error) return error.getResponse();
      hooks.failed("http", "request", error);
      return refusal(500, "internal", "Internal server error");
    });
  }

  /** Answers a request. */
  async fetch(request: Request, ip: string): Promise<Response> {
    const { url, method, headers } = request;
    if (!URL.canParse(url)) return refusal(400, "bad_request", "This is no proper address");
    const isUpgrade = method === "GET" && headers.get("upgrade")?.toLowerCase() === "websocket";
    if (!isUpgrade) return await this.#app.fetch(request, { ip });
    const env: SocketBindings = { ip, original: request };
    const response = await this.#app.fetch(asSocket(url, headers), env);
    return env.upgraded ?? response;
  }

  /** Brings a socket that was accepted elsewhere to its endpoint. */
  async accept(socket: WebSocket, path: string, headers: Headers, ip: string): Promise<Connection> {
    const original = asSocket(new URL(path, "http://accepted").href, headers);
    const env: SocketBindings = { ip, original, socket };
    const response = await this.#app.fetch(original, env);
    if (env.connection !== undefined) return env.connection;
    throw new PlugboardError("refused", `The connection was refused: ${await response.text()}`);
  }

  #mount(endpoint: Endpoint): void {
    this.#app.on(SOCKET, [endpoint.path].flat(), async ({ env, req }) => {
      const original = env.original!;
      const { headers } = req.raw;
      const applicant = { endpoint, url: original.url, headers, params: req.param(), ip: env.ip };
      const result = env.socket === undefined
        ? await this.#gate.upgrade(applicant, original)
        : await this.#gate.adopt(applicant, env.socket);
      if (!(result instanceof Response)) env.connection = result;
      else if (result.status === 101) env.upgraded = result;
      else return result;
      // Middleware may change a response only by making a new one, which would not be an upgrade any more.
      return new Response();
    });
  }
}

/** A copy, the headers of which stay readable when the runtime's request is over. */
function asSocket(url: string, headers: Headers): Request {
  return new Request(url, { method: SOCKET, headers });
}

function upgradeRequired(): Response {
  const headers = { upgrade: "websocket", connection: "upgrade" };
  return refusal(426, "upgrade_required", "This is a WebSocket endpoint", headers);
}
