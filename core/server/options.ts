/**
 * The options of a server.
 *
 * @module
 */

import { type Clock, systemClock } from "../contract/clock.ts";
import { checkOptions } from "../contract/errors.ts";
import type { TlsFiles } from "../http/listener.ts";

/** Options of a {@linkcode Server}. */
export interface ServerOptions {
  /** The port to listen on, 0 for any; `false` does not listen, for use within another server. @default {8080} */
  port?: number | false;
  /** The address to listen on. @default {"127.0.0.1"} */
  hostname?: string;
  /** Files with the certificate and its key, in PEM. */
  tls?: TlsFiles | undefined;
  /** Connections at once. @default {50000} */
  maxConnections?: number;
  /** Connections at once from one address. @default {1000} */
  maxConnectionsPerIp?: number;
  /** Bytes of one message from a client; endpoints may say otherwise. @default {65536} */
  maxMessageBytes?: number;
  /** Bytes that may wait for a slow reader before it is closed. @default {1048576} */
  maxQueuedBytes?: number;
  /** Messages of one client that may wait behind the one being handled. @default {1024} */
  maxWaitingMessages?: number;
  /** Bytes of those. @default {1048576} */
  maxWaitingBytes?: number;
  /** How often a connection is pinged. @default {25000} */
  pingIntervalMs?: number;
  /** How long a ping may stay unanswered; must be shorter than the interval. @default {8000} */
  pongTimeoutMs?: number;
  /** How long stopping may take at most. @default {10000} */
  drainMs?: number;
  /** Tells the client's address, when `peer` may be a proxy's. @default {(request, peer) => peer} */
  clientIp?: (request: Request, peer: string) => string;
  /** The time; tests bring their own. */
  clock?: Clock;
}

const DEFAULTS = {
  port: 8080,
  hostname: "127.0.0.1",
  maxConnections: 50_000,
  maxConnectionsPerIp: 1_000,
  maxMessageBytes: 65_536,
  maxQueuedBytes: 1_048_576,
  maxWaitingMessages: 1_024,
  maxWaitingBytes: 1_048_576,
  pingIntervalMs: 25_000,
  pongTimeoutMs: 8_000,
  drainMs: 10_000,
  clientIp: (_request: Request, peer: string) => peer,
  clock: systemClock,
} satisfies ServerOptions;

/** The options with nothing left open. */
export type CompleteOptions = Required<Omit<ServerOptions, "tls">> & Pick<ServerOptions, "tls">;

/** Longer waits overflow the runtime's timers, which then fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** Checks the options and fills in the defaults. */
export function completeOptions(given: ServerOptions): CompleteOptions {
  const check = checkOptions("the server");
  const options: CompleteOptions = { ...DEFAULTS, ...given };
  const { port, hostname, tls, drainMs, clientIp, clock, ...positive } = options;
  const isPort = port === false || Number.isInteger(port) && port >= 0 && port < 65_536;
  check.that(isPort, "port", "a port number or false", port);
  check.filled("hostname", hostname);
  if (tls !== undefined) {
    check.filled("tls.certFile", tls?.certFile);
    check.filled("tls.keyFile", tls?.keyFile);
  }
  for (const [name, value] of Object.entries(positive)) {
    if (name in DEFAULTS) check.positiveInteger(name, value);
  }
  check.wholeNumber("drainMs", drainMs);
  const { pingIntervalMs, pongTimeoutMs } = positive;
  check.that(drainMs <= LONGEST_MS, "drainMs", "at most 24 days", drainMs);
  check.that(pingIntervalMs <= LONGEST_MS, "pingIntervalMs", "at most 24 days", pingIntervalMs);
  const rule = "shorter than the ping interval";
  check.that(pongTimeoutMs < pingIntervalMs, "pongTimeoutMs", rule, pongTimeoutMs);
  check.that(typeof clientIp === "function", "clientIp", "a function", clientIp);
  check.that(typeof clock?.now === "function", "clock", "a clock", clock);
  return options;
}
