import { checkOptions, type Plugin } from "../../../core/mod.ts";
import type { Channel } from "../../protocols/json.ts";
import type { SqlEventsOptions } from "../../sql_events.ts";
import type { SignInConfig } from "../shared/sign_in.ts";

/** Options of {@linkcode createWebSocketServer}. */
export interface WebSocketServerConfig extends SignInConfig {
  /** The port to listen on, 0 for any; `false` does not listen, for use in another server. @default {3001} */
  port?: number | false;
  /** The path clients connect to. @default {"/ws"} */
  path?: string;
  /** Milliseconds between heartbeats, and between the pings that find dead connections. @default {30000} */
  heartbeatInterval?: number;
  /** Maximum number of open connections. @default {100} */
  maxConnections?: number;
  /** Whether to listen with TLS. @default {false} */
  enableWss?: boolean;
  /** The certificate file, in PEM. */
  wssCertPath?: string;
  /** The private key file, in PEM. */
  wssKeyPath?: string;
  /** The channels that every client is subscribed to when it connects. @default {all four} */
  autoSubscribe?: readonly Channel[];
  /** A database whose tables are watched and in which `sqlEvents` runs queries: `persistence({ path })`. */
  store?: Plugin<NonNullable<SqlEventsOptions["store"]>>;
}

/** Returns the kernel's TLS option, or throws if a file is missing from the options. */
export function tlsOf(
  { enableWss = false, wssCertPath = "", wssKeyPath = "" }: WebSocketServerConfig,
): { certFile: string; keyFile: string } | undefined {
  if (!enableWss) return undefined;
  const check = checkOptions("websocket_server");
  check.that(wssCertPath !== "", "wssCertPath", "the file with the certificate", wssCertPath);
  check.that(wssKeyPath !== "", "wssKeyPath", "the file with its key", wssKeyPath);
  return { certFile: wssCertPath, keyFile: wssKeyPath };
}
