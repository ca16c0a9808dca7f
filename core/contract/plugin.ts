/**
 * What a plugin is: a value with a name, an API for others, and hooks.
 *
 * @module
 */

import type { Hono } from "@hono/hono";
import type { Clock } from "./clock.ts";
import type { Closed } from "./close_codes.ts";
import type { Connection } from "./connection.ts";
import type { Endpoint, Upgrade } from "./endpoint.ts";
import type { Message } from "./framing.ts";
import type { Log, LogRecord } from "./log.ts";
import type { MaybePromise, Nothing } from "./promises.ts";
import type { Transport, TransportEvents } from "./transport.ts";

/** The one Hono app; handlers find the caller's address in `c.env.ip`. */
export type App = Hono<{ Bindings: { ip: string } }>;

/** Where the server is in its life. */
export type ServerState = "idle" | "starting" | "ready" | "draining" | "stopped";

/** What was handed to the network; a character of text counts as one. */
export interface Sent {
  /** Frames, each with one message or more. */
  frames: number;
  /** Their size. */
  chars: number;
}

/** What the kernel lends a plugin from `start` to `stop`. */
export interface Host {
  /** The plugin's own log: its lines carry the plugin's name. */
  readonly log: Log;
  /** The time. What its callbacks throw is logged. */
  readonly clock: Clock;
  /** Everyone connected right now. */
  readonly connections: ReadonlySet<Connection>;
  /** Where the server is in its life. */
  readonly state: ServerState;
  /** What was sent to the clients of each endpoint. */
  readonly sent: ReadonlyMap<Endpoint, Sent>;
  /** How often connections are pinged. */
  readonly pingIntervalMs: number;
  /** The addresses of all listeners, as they were requested. */
  readonly hostnames: readonly string[];
  /**
   * Asks to open a connection that does not come over a WebSocket: the same limits and `upgrade` hooks apply.
   * Gives the refusal, or the admission to open it with.
   */
  admit(endpoint: Endpoint, request: Request, ip: string): Promise<Response | Admission>;
}

/** A place that is reserved for a connection. Open it once, or release it. */
export interface Admission {
  /** The request, as the hooks saw it. */
  readonly upgrade: Upgrade;
  /** Opens the connection. What the transport receives goes to `incoming`. */
  open(transport: Transport): { readonly connection: Connection; readonly incoming: TransportEvents };
  /** Releases the place. Call it when a connection that was opened is gone, too. */
  release(): void;
}

/** The hooks of a plugin; each is optional. */
export interface Hooks {
  /** Opens what the plugin needs; awaited, in the order of `use`. A throw stops the server's start. */
  start?(host: Host): MaybePromise<void>;
  /** Releases all of it, in reverse order; also called when this or a later plugin failed to start. */
  stop?(): MaybePromise<void>;
  /** Adds HTTP routes, once, after every plugin has started. */
  routes?(app: App): Nothing;
  /** Looks at a client before it is let in; the first `Response` refuses it. */
  upgrade?(upgrade: Upgrade): MaybePromise<Response | undefined>;
  /** A client came. */
  open?(conn: Connection, upgrade: Upgrade): Nothing;
  /** A client went. */
  close?(conn: Connection, why: Closed): Nothing;
  /** A message came in; `true` drops it. Not `async`: it runs for every message. */
  message?(conn: Connection, data: Message): true | Nothing;
  /** The server is about to stop and the clients are still there; awaited until the deadline. */
  drain?(): MaybePromise<void>;
  /** A line of the log, of any plugin. */
  log?(record: LogRecord): Nothing;
}

/** The name of a hook. */
export type HookName = keyof Hooks;

/** A plugin without regard to its API. */
export interface AnyPlugin extends Hooks {
  /** As logs and errors call it. */
  readonly name: string;
  /** Where its protocol is spoken, if it is one. */
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

/** The API of a plugin type; `void` where it has none. */
export type ApiOf<P extends AnyPlugin> = P extends { readonly api: infer Api } ? Api : void;
