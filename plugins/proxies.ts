/**
 * Proxies: another service decides who clients are and what they may do.
 *
 * The backend gets a request for each sign-in, subscription, publication or call, and its answer is obeyed. Requests
 * and answers have Centrifugo's format, so backends that were written for it work unchanged.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { auth } from "@plugboard/server/auth";
 * import { channels } from "@plugboard/server/channels";
 * import { proxies } from "@plugboard/server/proxies";
 * import { rpc } from "@plugboard/server/rpc";
 *
 * const backend = proxies({
 *   connect: { url: "http://127.0.0.1:8000/connect", httpHeaders: ["cookie"] },
 *   publish: { url: "http://127.0.0.1:8000/publish", namespaces: ["chat"] },
 * });
 * const server = new Server({ port: 0 });
 * const { signIn, extension, methods } = server.use(backend);
 * const access = server.use(auth({ backend: signIn }));
 * const bus = server.use(channels({ access, extensions: [extension] }));
 * const calls = server.use(rpc({ backend: methods }));
 * ```
 *
 * The permissions and rules of a namespace apply first, and the backend can refuse what they allow. A namespace that
 * leaves everything to the backend has `subscribe: "anyone"` and `publish: "anyone"`.
 *
 * @module
 */

import { built, checkOptions, type Connection, type Plugin } from "../core/mod.ts";
import type { AboutClient, SignInBackend } from "./auth.ts";
import type { ChannelExtension } from "./channels.ts";
import { ask, type ClientContext } from "./proxies/asking.ts";
import { Backend } from "./proxies/backend.ts";
import { pick } from "./proxies/headers.ts";
import { decidePublish } from "./proxies/publishes.ts";
import { SignIns } from "./proxies/sign_ins.ts";
import { Subscriptions } from "./proxies/subscriptions.ts";
import type {
  CallProxyOptions,
  ConnectProxyOptions,
  NamespaceProxyOptions,
  ProxyEvent,
  ProxyOptions,
} from "./proxies/types.ts";
import type { Method, RpcBackend } from "./rpc.ts";
import { accountOf } from "./shared/identity.ts";
import type { Metrics } from "./shared/metrics.ts";

export type * from "./proxies/types.ts";

/** Options of {@linkcode proxies}. */
export interface ProxiesOptions {
  /** Asked when a client without a token connects. */
  connect?: ConnectProxyOptions;
  /**
   * Asked when the answer for `connect` has expired. Without it, the connection is closed then, and a client that
   * reconnects is asked about again.
   */
  refresh?: ProxyOptions;
  /** Asked when a client without a subscription token subscribes; one URL, or several for different namespaces. */
  subscribe?: NamespaceProxyOptions | readonly NamespaceProxyOptions[];
  /** Asked when the answer for `subscribe` has expired. Without it, the client has to subscribe again. */
  subRefresh?: NamespaceProxyOptions | readonly NamespaceProxyOptions[];
  /** Asked when a client publishes. */
  publish?: NamespaceProxyOptions | readonly NamespaceProxyOptions[];
  /** Runs methods that are not defined in this program. */
  rpc?: CallProxyOptions | readonly CallProxyOptions[];
  /** Counts requests. */
  metrics?: Pick<Metrics, "counter">;
}

/** What other plugins take from proxies. */
export interface Proxies {
  /** For sign-in: `auth({ backend })`. */
  readonly signIn: SignInBackend;
  /** For channels: `channels({ extensions })`. */
  readonly extension: ChannelExtension;
  /** For calls: `rpc({ backend })`. */
  readonly methods: RpcBackend;
  /** Sentences about backends that do not answer. */
  readonly problems: readonly string[];
}

const SWEEP_MS = 1_000;

/** Lets another service decide. */
export function proxies(options: ProxiesOptions): Plugin<Proxies> {
  const requests = options.metrics?.counter(
    "plugboard_proxy_requests_total",
    "Requests to the backend, by event and result",
    ["event", "result"],
  );
  const all: Backend[] = [];

  function backendFor(event: ProxyEvent, given: ProxyOptions): Backend {
    const backend = new Backend(event, given, requests);
    all.push(backend);
    return backend;
  }

  const one = (event: ProxyEvent, given: ProxyOptions | undefined) => given && backendFor(event, given);

  /** Returns a function that finds the backend for a namespace. */
  function byNamespace(event: ProxyEvent, given: ProxiesOptions["subscribe"] = []) {
    const backends = [given].flat().map((each): [readonly string[], Backend] => {
      checkOptions("proxies").that(
        each.namespaces?.length > 0,
        `${event}.namespaces`,
        "a list of namespaces",
        each.namespaces,
      );
      return [each.namespaces, backendFor(event, each)];
    });
    return (...names: readonly string[]) =>
      backends.find(([namespaces]) => names.some((name) => namespaces.includes(name)))?.[1];
  }

  const connect = one("connect", options.connect);
  const signIns = new SignIns(connect, one("refresh", options.refresh));
  const subscriptions = new Subscriptions();
  const subscribeTo = byNamespace("subscribe", options.subscribe);
  const renewIn = byNamespace("sub_refresh", options.subRefresh);
  const publishTo = byNamespace("publish", options.publish);
  const callIn = byNamespace("rpc", options.rpc);

  const names = (option: "httpHeaders" | "emulatedHeaders") =>
    new Set(all.flatMap((each) => each.options[option] ?? []).map((name) => name.toLowerCase()));
  const [httpNames, emulatedNames] = [names("httpHeaders"), names("emulatedHeaders")];
  const contexts = new Map<string, ClientContext>();
  let endSweep = () => {};

  function contextFor(client: string, headers: Headers): ClientContext {
    const http = httpNames.size === 0 ? {} : pick(httpNames, headers);
    return { client, headers: { http, emulated: {} }, transport: "websocket", protocol: "json" };
  }

  function learn(context: ClientContext, { transport, protocol, headers = {} }: AboutClient): void {
    if (transport !== undefined) context.transport = transport;
    if (protocol !== undefined) context.protocol = protocol;
    if (emulatedNames.size > 0) context.headers.emulated = pick(emulatedNames, Object.entries(headers));
  }

  /** A client without a connection calls over HTTP. */
  const contextOf = (conn: Connection | undefined): ClientContext =>
    contexts.get(conn?.id ?? "") ??
      { client: conn?.id ?? "", headers: { http: {}, emulated: {} }, transport: "http", protocol: "json" };

  const signIn: SignInBackend = {
    always: options.connect?.always === true,
    ...(connect && {
      async connect(question) {
        const { client, headers, about } = question;
        const context = contexts.get(client) ?? contextFor(client, headers);
        learn(context, about);
        return await signIns.connect(question, context);
      },
    }),
    connected(conn, signedIn, about, renew) {
      const context = contextOf(conn);
      learn(context, about);
      context.meta = signedIn.meta;
      signIns.connected(conn, context, signedIn, renew);
    },
  };

  const extension: ChannelExtension = {
    name: "proxies",
    async beforeSubscribe(client, channel, request, namespace) {
      if (request.serverSide || request.grant !== undefined) return;
      const backend = subscribeTo(namespace.name, prefixOf(channel));
      if (backend === undefined) return;
      const refresh = renewIn(namespace.name, prefixOf(channel));
      const context = contextOf(client.conn);
      const grant = await subscriptions.decide(backend, refresh, context, client, channel, request);
      if (grant !== undefined) return { grant };
    },
    ...(options.publish && {
      decidePublish(publishing) {
        const backend = publishTo(publishing.namespace.name, prefixOf(publishing.channel));
        return backend && decidePublish(backend, contextOf(publishing.client?.conn), publishing);
      },
    }),
    left: ({ id }, { channel }) => subscriptions.left(id, channel),
  };

  function methodOf(name: string, backend: Backend): Method<unknown, unknown> {
    return {
      run: async (data, { identity, conn }) =>
        await ask({
          backend,
          context: contextOf(conn),
          account: accountOf(identity, conn?.ip ?? ""),
          members: { user: identity.user, method: name, data },
          read: (reply) => reply?.payload("data")?.value(),
        }),
    };
  }

  return built({
    name: "proxies",
    api: {
      signIn,
      extension,
      methods: {
        methodFor(name) {
          const backend = callIn(prefixOf(name));
          return backend && methodOf(name, backend);
        },
      },
      get problems() {
        return all.flatMap(({ problem }) => problem ?? []);
      },
    },
    start(given) {
      for (const backend of all) backend.start(given);
      endSweep = given.clock.every(SWEEP_MS, () => {
        signIns.sweep(given);
        subscriptions.sweep(given);
      });
    },
    stop() {
      endSweep();
      for (const backend of all) backend.stop();
    },
    open(conn, { headers }) {
      contexts.set(conn.id, { ...contextFor(conn.id, headers), conn });
    },
    close(conn) {
      contexts.delete(conn.id);
      signIns.closed(conn);
      subscriptions.closed(conn.id);
    },
  }, options);
}

/** The part of a name before the first `:`, without the prefix of private channels. */
function prefixOf(name: string): string {
  const colon = name.indexOf(":");
  return colon === -1 ? "" : name.slice(name.startsWith("$") ? 1 : 0, colon);
}
