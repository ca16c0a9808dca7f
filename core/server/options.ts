import { defaultMaxMemory } from "../connections/memory.ts";
import { type Clock, systemClock } from "../contract/clock.ts";
import { checkOptions, type OptionGuards } from "../contract/errors.ts";
import type { ListenOptions, TlsFiles } from "../http/listener.ts";

/** Options of a {@linkcode Server}. */
export interface ServerOptions {
  /** The port, 0 for any free one. `false` does not listen, for use within another server. @default {8080} */
  port?: number | false;
  /** The address to listen on. @default {"127.0.0.1"} */
  hostname?: string;
  /** Files with a certificate and its key, in PEM. */
  tls?: TlsFiles | undefined;
  /** More addresses to listen on, by name, for plugins that `use(plugin, { listener })` assigns to them. */
  listeners?: Readonly<Record<string, ListenOptions>>;
  /** Maximum connections. @default {50000} */
  maxConnections?: number;
  /** Maximum connections from one address. @default {1000} */
  maxConnectionsPerIp?: number;
  /** Maximum bytes of one message from a client. Endpoints can override it. @default {65536} */
  maxMessageBytes?: number;
  /** Bytes that may wait for a slow reader before it is closed. @default {1048576} */
  maxQueuedBytes?: number;
  /**
   * Bytes of one client's messages that may wait for a handler or a turn; each counts 64 more. An endpoint with a larger
   * `maxMessageBytes` allows as many. @default {8388608}
   */
  maxWaitingBytes?: number;
  /**
   * Maximum memory of the process. From 80 % of it on, new clients are refused. By default three quarters of the memory of
   * the container or the machine; without the permission to read that, the limit of V8's heap.
   */
  maxMemoryBytes?: number;
  /** How often a connection is pinged. @default {25000} */
  pingIntervalMs?: number;
  /** How long a ping may stay unanswered. Must be shorter than the interval. @default {8000} */
  pongTimeoutMs?: number;
  /** Maximum time to stop. @default {10000} */
  drainMs?: number;
  /** Returns the client's address, if `peer` may be a proxy. @default {(request, peer) => peer} */
  clientIp?: (request: Request, peer: string) => string;
  /** The time; tests use a clock of their own. */
  clock?: Clock;
}

const DEFAULTS = {
  maxConnections: 50_000,
  maxConnectionsPerIp: 1_000,
  maxMessageBytes: 65_536,
  maxQueuedBytes: 1_048_576,
  maxWaitingBytes: 8_388_608,
  pingIntervalMs: 25_000,
  pongTimeoutMs: 8_000,
  drainMs: 10_000,
  clientIp: (_request: Request, peer: string) => peer,
  clock: systemClock,
} satisfies ServerOptions;

/** The name of the listener that plugins are assigned to by default. */
export const MAIN = "main";

/** Where to listen, with all defaults. */
type Listening = ListenOptions & { readonly hostname: string };

/** The options with all defaults. */
export interface CompleteOptions
  extends Required<Omit<ServerOptions, "port" | "hostname" | "tls" | "listeners">> {
  /** The main listener comes first. `undefined` if it does not listen. */
  readonly listeners: ReadonlyMap<string, Listening | undefined>;
}

/** Longer timeouts overflow the runtime's timers, which then fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Checks the options and adds the defaults. */
export function completeOptions(
  { port = 8080, hostname, tls, listeners = {}, ...given }: ServerOptions,
): CompleteOptions {
  const check = checkOptions("the server");
  const options = { ...DEFAULTS, ...given, maxMemoryBytes: given.maxMemoryBytes ?? defaultMaxMemory() };
  const { drainMs, clientIp, clock, ...positive } = options;
  const complete = new Map<string, Listening | undefined>();
  complete.set(MAIN, port === false ? undefined : completeListener(check, "", { port, hostname, tls }));
  for (const [name, listener] of Object.entries(listeners)) {
    check.that(name !== MAIN, "listeners", `free of the name "${MAIN}"`, name);
    complete.set(name, completeListener(check, `listeners.${name}.`, listener));
  }
  for (const [name, value] of Object.entries(positive)) {
    if (name in DEFAULTS) check.positiveInteger(name, value);
  }
  check.positiveInteger("maxMemoryBytes", options.maxMemoryBytes);
  check.wholeNumber("drainMs", drainMs);
  const { pingIntervalMs, pongTimeoutMs } = positive;
  check.that(drainMs <= MAX_TIMEOUT_MS, "drainMs", "at most 24 days", drainMs);
  check.that(pingIntervalMs <= MAX_TIMEOUT_MS, "pingIntervalMs", "at most 24 days", pingIntervalMs);
  const rule = "shorter than the ping interval";
  check.that(pongTimeoutMs < pingIntervalMs, "pongTimeoutMs", rule, pongTimeoutMs);
  check.that(typeof clientIp === "function", "clientIp", "a function", clientIp);
  check.that(typeof clock?.monotonicTime === "function", "clock", "a clock", clock);
  return { ...options, listeners: complete };
}

function completeListener(
  check: OptionGuards,
  prefix: string,
  { port, hostname = "127.0.0.1", tls }: ListenOptions,
): Listening {
  const isPort = Number.isInteger(port) && port >= 0 && port < 65_536;
  check.that(isPort, `${prefix}port`, prefix === "" ? "a port number or false" : "a port number", port);
  check.filled(`${prefix}hostname`, hostname);
  if (tls !== undefined) {
    check.filled(`${prefix}tls.certFile`, tls?.certFile);
    check.filled(`${prefix}tls.keyFile`, tls?.keyFile);
  }
  return { port, hostname, tls };
}
