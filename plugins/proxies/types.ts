/**
 * The options of proxies.
 *
 * @module
 */

import type { CloseCode } from "../../core/mod.ts";

/** What a backend is asked about. */
export type ProxyEvent = "connect" | "refresh" | "subscribe" | "sub_refresh" | "publish" | "rpc";

/** A URL of the backend, and how it is asked. */
export interface ProxyOptions {
  /** Where the requests go. Only the operator decides it; redirects are not followed. */
  readonly url: string;
  /** How long an answer may take. @default {1000} */
  readonly timeoutMs?: number;
  /** The headers of the client's request that are passed on: `["cookie", "authorization"]`. */
  readonly httpHeaders?: readonly string[];
  /** The headers that are passed on from the client's connect command, which can contain anything. */
  readonly emulatedHeaders?: readonly string[];
  /** Headers of every request, for example with a secret of the backend. @secret */
  readonly staticHeaders?: Readonly<Record<string, string>>;
  /** Whether requests contain what the sign-in tells only the server. @default {false} */
  readonly includeMeta?: boolean;
  /** Whether payloads travel in base64 (`b64data`), so that they can be any bytes. @default {false} */
  readonly binary?: boolean;
  /**
   * Whether to `refuse` or to `allow` what the backend cannot be asked about. A connection that is allowed is anonymous;
   * a call cannot be allowed. A sign-in or a subscription that cannot be refreshed continues for a minute.
   * @default {"refuse"}
   */
  readonly whenDown?: "refuse" | "allow";
  /** What the client gets for statuses other than 200. All others count as failures of the backend. */
  readonly statuses?: Readonly<Record<number, StatusAnswer>>;
  /** The maximum bytes of an answer. @default {262144} */
  readonly maxReplyBytes?: number;
  /** The maximum requests at once; up to a hundred times as many wait. @default {256} */
  readonly maxConcurrent?: number;
}

/** What a status of the backend means. */
export type StatusAnswer =
  /** The client gets this error. */
  | { readonly error: { readonly code: number; readonly message: string; readonly temporary?: boolean } }
  /** The client is disconnected. */
  | { readonly disconnect: CloseCode };

/** A proxy for sign-ins. */
export interface ConnectProxyOptions extends ProxyOptions {
  /** Whether it is asked about clients with tokens too, which are then not checked. @default {false} */
  readonly always?: boolean;
}

/** A proxy for calls. They cannot be allowed while the backend is down. */
export type CallProxyOptions = Omit<NamespaceProxyOptions, "whenDown">;

/** A proxy for some namespaces. */
export interface NamespaceProxyOptions extends ProxyOptions {
  /**
   * The namespaces of the channels, or the part of the methods' names before the first `:`. An empty text stands for
   * all that have none of the known namespaces.
   */
  readonly namespaces: readonly string[];
}
