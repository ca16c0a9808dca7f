/**
 * What a plugin is: a value with a name, an API for others, and hooks.
 *
 * @module
 */

import type { Hono } from "@hono/hono";
import type { Clock } from "./clock.ts";
import type { Closed } from "./close_codes.ts";
import type { Admission } from "./admission.ts";
import type { Connection } from "./connection.ts";
import type { Endpoint, Upgrade } from "./endpoint.ts";
import type { Message } from "./framing.ts";
import type { Listening, OpenListener } from "./listening.ts";
import type { Log, LogRecord } from "./log.ts";
import type { MaybePromise, Nothing } from "./promises.ts";

/** What handlers find in `c.env`. */
export interface RequestInfo {
  /** The client's address, as far as the server trusts proxies. */
  readonly ip: string;
  /**
   * Resolves when the response was sent or its connection has ended; call it before the handler returns. A reader that
   * stops can delay it for ever. Absent if the server is mounted without `info`.
   */
  readonly completed?: (() => Promise<void>) | undefined;
}

/** The Hono app of a listener. */
export type App = Hono<{ Bindings: RequestInfo }>;

/** Where the server is in its life. */
export type ServerState = "idle" | "starting" | "ready" | "draining" | "stopped";

/** Counts what was sent to the network. */
export interface Sent {
  /** Frames, each with one or more messages. */
  frames: number;
  /** Their bytes. A character of text counts as one. */
  chars: number;
}

/** How much memory is left. */
export interface MemoryState {
  /** 0: enough. 1: new clients are refused. 2: also, clients that send nothing complete are disconnected. */
  readonly level: 0 | 1 | 2;
  /** Maximum bytes of the process. */
  readonly maxBytes: number;
}

/** The kernel, as a plugin uses it between `start` and `stop`. */
export interface Host {
  /** The plugin's log. Records carry the plugin's name. */
  readonly log: Log;
  /** The time. Errors of its callbacks are logged. */
  readonly clock: Clock;
  /** The connections that are open. */
  readonly connections: ReadonlySet<Connection>;
  /** Where the server is in its life. */
  readonly state: ServerState;
  /** What was sent to the clients of each endpoint. */
  readonly sent: ReadonlyMap<Endpoint, Sent>;
  /** Sentences about what is wrong with the server at the moment. Empty if all is well. */
  readonly problems: readonly string[];
  /** Resolves when the server cannot recover from a problem and should be restarted. */
  readonly failed: Promise<Error>;
  /** How much memory is left. */
  readonly memory: MemoryState;
  /** Maximum connections of all clients. */
  readonly maxConnections: number;
  /** How often connections are pinged. */
  readonly pingIntervalMs: number;
  /** The addresses of all listeners, as they were requested. */
  readonly hostnames: readonly string[];
  /** Counts the connections from an address, pending ones included; see {@linkcode networkOf}. */
  connectionsFrom(ip: string): number;
  /** Admits a client that does not use a WebSocket, with the same limits and `upgrade` hooks, or refuses it. */
  admit(endpoint: Endpoint, request: Request, ip: string): Promise<Response | Admission>;
}

/** The hooks of a plugin; each is optional. */
export interface Hooks {
  /** Acquires what the plugin needs. Awaited, in the order of `use`. A throw aborts the server's start. */
  start?(host: Host): MaybePromise<void>;
  /** Releases everything, in reverse order. Also called when this or a later plugin failed to start. */
  stop?(): MaybePromise<void>;
  /** Adds HTTP routes, once, after all plugins have started. */
  routes?(app: App): Nothing;
  /** Opens the listener that the plugin is used with, in place of the kernel. */
  listen?(listening: Listening): MaybePromise<OpenListener>;
  /** Checks a request before a connection is opened. The first `Response` refuses it. */
  upgrade?(upgrade: Upgrade): MaybePromise<Response | undefined>;
  /** A connection was opened. */
  open?(conn: Connection, upgrade: Upgrade): Nothing;
  /** A connection has ended. */
  close?(conn: Connection, why: Closed): Nothing;
  /** A message arrived; `true` drops it. Not `async`, because it runs for every message. */
  message?(conn: Connection, data: Message): true | Nothing;
  /** The server stops, and its clients are still connected. Awaited until the deadline. */
  drain?(): MaybePromise<void>;
  /** A plugin or the kernel logged a record. */
  log?(record: LogRecord): Nothing;
}

/** The name of a hook. */
export type HookName = keyof Hooks;

/** A plugin with any API. */
export interface AnyPlugin extends Hooks {
  /** The name in logs and errors. */
  readonly name: string;
  /** The endpoints of a protocol. */
  readonly endpoints?: readonly Endpoint[];
}

/**
 * A plugin that offers `Api` to others.
 *
 * ```ts
 * import type { Plugin } from "@plugboard/server";
 *
 * function greeter(): Plugin {
 *   return { name: "greeter", open: (conn) => void conn.send("hello") };
 * }
 * ```
 */
export type Plugin<Api = void> = AnyPlugin & ([Api] extends [void] ? unknown : { readonly api: Api });

/** The API of a plugin type, or `void`. */
export type ApiOf<P extends AnyPlugin> = P extends { readonly api: infer Api } ? Api : void;
