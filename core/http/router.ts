import { Hono } from "@hono/hono";
import { METHOD_NAME_ALL } from "@hono/hono/router";
import { getPath } from "@hono/hono/utils/url";
import type { Connection } from "../contract/connection.ts";
import type { Endpoint } from "../contract/endpoint.ts";
import { PlugboardError, refusal, startFailed } from "../contract/errors.ts";
import type { Admission } from "../contract/admission.ts";
import type { AnyPlugin, App, RequestInfo } from "../contract/plugin.ts";
import { chain, type MaybePromise } from "../contract/promises.ts";
import type { Gate, GateHooks } from "./gate.ts";
import { skipsUpgraded } from "./unless_upgraded.ts";

/** What a WebSocket request needs on its way to the endpoint, and its result. */
interface SocketBindings extends RequestInfo {
  /** The runtime's request. The runtime cannot upgrade a copy. */
  readonly original?: Request;
  /** A socket that was accepted elsewhere. */
  readonly socket?: WebSocket;
  /** Whether the socket is accepted elsewhere, later. */
  readonly elsewhere?: true;
  /** The gate's refusal, on its way through the middleware. */
  readonly refused?: Response | undefined;
  upgraded?: Response;
  admission?: Admission;
  connection?: Connection;
}

/** An endpoint that needs no dispatch. */
interface Direct {
  readonly endpoint: Endpoint;
  /** Whether there is middleware for refusals. */
  readonly watched: boolean;
}

/**
 * The method under which WebSocket requests are routed. So a page and an endpoint can share a path, and a plugin's
 * middleware for all routes also runs for endpoints.
 */
const SOCKET = "SOCKET";

/** A Hono app with the plugins' routes and endpoints. */
export class Router {
  readonly #app = new Hono<{ Bindings: SocketBindings }>({
    // The path as it was sent. A copy of the request resolves dots and backslashes, which may lead elsewhere.
    getPath: (request, options) => getPath(options?.env?.original ?? request),
  });
  readonly #gate: Gate;
  /** Endpoints by their paths, except patterns. */
  readonly #exact = new Map<string, Endpoint>();
  /** Those that need no dispatch, or `undefined` for the others. Filled by the first request for a path. */
  readonly #direct = new Map<string, Direct | undefined>();
  /** The start of the latest URL that was valid. */
  #validOrigin = "";

  constructor(plugins: readonly AnyPlugin[], gate: Gate, hooks: Pick<GateHooks, "refused">) {
    this.#gate = gate;
    const owners = new Map<string, string>();
    for (const plugin of plugins) {
      try {
        plugin.routes?.(this.#app as unknown as App);
        for (const endpoint of plugin.endpoints ?? []) {
          claim(endpoint, plugin.name, owners);
          this.#mount(endpoint);
        }
      } catch (error) {
        throw startFailed(plugin.name, error);
      }
    }
    // After all routes, which may have the same paths.
    for (const { path } of plugins.flatMap(({ endpoints = [] }) => endpoints)) {
      this.#app.on("GET", [path].flat(), upgradeRequired);
    }
    this.#app.notFound(({ env, req }) => env.original === undefined ? this.#refuse(req) : notFound());
    this.#app.onError((error) => {
      // Hono's middleware throws errors that have a response.
      if ("getResponse" in error) return error.getResponse();
      return hooks.refused("http", "request", error);
    });
  }

  /** Answers a request. */
  fetch(request: Request, info: RequestInfo): MaybePromise<Response> {
    const { url, method, headers } = request;
    if (!this.#isValid(url)) return refusal(400, "bad_request", "The URL is not valid");
    const isUpgrade = method === "GET" && headers.get("upgrade")?.toLowerCase() === "websocket";
    if (!isUpgrade) return this.#app.fetch(request, info);
    headers.has("upgrade"); // Reads all headers, so that they stay readable after the request has ended.
    const direct = this.#directTo(url);
    if (direct === undefined) return this.#fetchSocket(request, info);
    const { endpoint, watched } = direct;
    const answer = this.#gate.upgrade({ endpoint, url, headers, params: {}, ip: info.ip }, request);
    if (!watched) return answer;
    return chain(answer, (response) => {
      return response.status === 101 ? response : this.#fetchSocket(request, info, response);
    });
  }

  /** Routes an upgrade request. A copy with another method costs a fifth of an upgrade. */
  async #fetchSocket(request: Request, { ip }: RequestInfo, refused?: Response): Promise<Response> {
    const env: SocketBindings = { ip, original: request, refused };
    const response = await this.#app.fetch(socketRequest(request), env);
    return env.upgraded ?? response;
  }

  /** Returns the endpoint of a URL if nothing is to do before: no parameters, and only middleware for refusals. */
  #directTo(url: string): Direct | undefined {
    const query = url.indexOf("?");
    const path = url.slice(url.indexOf("/", "https://".length), query < 0 ? undefined : query);
    const direct = this.#direct.get(path);
    if (direct !== undefined || this.#direct.has(path)) return direct;
    const endpoint = this.#exact.get(path);
    if (endpoint === undefined) return undefined;
    const [handlers] = this.#app.router.match(SOCKET, path);
    const middleware = handlers.slice(0, -1).map(([[handler]]) => handler);
    const found = middleware.every(skipsUpgraded) ? { endpoint, watched: middleware.length > 0 } : undefined;
    this.#direct.set(path, found);
    return found;
  }

  /** Admits a client whose socket is accepted elsewhere. */
  admit(request: Request, ip: string): MaybePromise<Response | Admission> {
    const { url, headers } = request;
    if (!this.#isValid(url)) return refusal(400, "bad_request", "The URL is not valid");
    const direct = this.#directTo(url);
    if (direct === undefined) return this.#admitSocket(request, ip);
    const { endpoint, watched } = direct;
    const answer = this.#gate.admit({ endpoint, url, headers, params: {}, ip });
    if (!watched) return answer;
    return chain(answer, (result) => {
      return result instanceof Response ? this.#admitSocket(request, ip, result) : result;
    });
  }

  async #admitSocket(request: Request, ip: string, refused?: Response): Promise<Response | Admission> {
    const env: SocketBindings = { ip, original: request, elsewhere: true, refused };
    const response = await this.#app.fetch(socketRequest(request), env);
    return env.admission ?? response;
  }

  /** Opens a connection on a socket that was accepted elsewhere. */
  async accept(socket: WebSocket, path: string, headers: Headers, ip: string): Promise<Connection> {
    const original = new Request(new URL(path, "http://accepted"), { method: SOCKET, headers });
    const env: SocketBindings = { ip, original, socket };
    const response = await this.#app.fetch(original, env);
    if (env.connection !== undefined) return env.connection;
    throw new PlugboardError("refused", `The connection was refused: ${await response.text()}`);
  }

  /** Whether a URL can be parsed. Its path and query always can be. */
  #isValid(url: string): boolean {
    const origin = url.slice(0, url.indexOf("/", "https://".length) + 1);
    if (origin !== "" && origin === this.#validOrigin) return true;
    if (!URL.canParse(url)) return false;
    this.#validOrigin = origin;
    return true;
  }

  #mount(endpoint: Endpoint): void {
    for (const path of [endpoint.path].flat()) {
      if (/^\/[\w/.-]*$/.test(path)) this.#exact.getOrInsert(path, endpoint);
    }
    this.#app.on(SOCKET, [endpoint.path].flat(), async ({ env, req }, next) => {
      const { original } = env;
      // A client's own method of this name.
      if (original === undefined) return await next();
      if (env.refused !== undefined) return env.refused;
      const { headers } = req.raw;
      const applicant = { endpoint, url: original.url, headers, params: req.param(), ip: env.ip };
      const result = env.elsewhere
        ? await this.#gate.admit(applicant)
        : env.socket === undefined
        ? await this.#gate.upgrade(applicant, original)
        : await this.#gate.adopt(applicant, env.socket);
      if ("release" in result) env.admission = result;
      else if (!(result instanceof Response)) env.connection = result;
      else if (result.status === 101) env.upgraded = result;
      else return result;
      // Middleware copies responses to change them. A copy would not upgrade the connection.
      return new Response();
    });
  }

  /** Refuses a request that no route answered: either its path is unknown, or its method. */
  #refuse({ method, path }: { method: string; path: string }): Response {
    const { router, routes } = this.#app;
    const routesOf = (method: string) => router.match(method, path)[0].length;
    const middleware = routesOf(METHOD_NAME_ALL);
    const methods = new Set(routes.map(({ method }) => method));
    const allowed = [...methods].filter((name) => name !== SOCKET && routesOf(name) > middleware);
    // Hono answers HEAD as GET.
    if (allowed.includes("GET")) allowed.push("HEAD");
    if (allowed.length === 0 || allowed.includes(method)) return notFound();
    const allow = allowed.join(", ");
    return refusal(405, "method_not_allowed", `Methods allowed at this path: ${allow}`, { allow });
  }
}

/** Returns a copy under the method of WebSocket requests. */
function socketRequest(request: Request): Request {
  return Object.create(request, { method: { value: SOCKET } });
}

/** Throws if another endpoint has the same path, since one of them would get no clients. */
function claim(endpoint: Endpoint, plugin: string, owners: Map<string, string>): void {
  for (const path of [endpoint.path].flat()) {
    const owner = owners.get(path);
    if (owner !== undefined) {
      const other = owner === plugin ? "another endpoint of it" : `the plugin ${owner}`;
      throw new PlugboardError(
        "start_failed",
        `Cannot start ${plugin}: ${other} has the path ${path} already`,
      );
    }
    owners.set(path, plugin);
  }
}

function notFound(): Response {
  return refusal(404, "not_found", "There is nothing at this path");
}

function upgradeRequired(): Response {
  const headers = { upgrade: "websocket", connection: "upgrade" };
  return refusal(426, "upgrade_required", "This is a WebSocket endpoint", headers);
}
