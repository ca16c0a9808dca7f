/**
 * RPC: typed methods that clients call.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { rpc } from "@plugboard/server/rpc";
 *
 * const server = new Server({ port: 0 });
 * const methods = server.use(rpc());
 * methods.define("add", {
 *   args: (value) => value as { a: number; b: number },
 *   run: ({ a, b }) => a + b,
 * });
 * ```
 *
 * @module
 */

import {
  checkOptions,
  type Connection,
  type Host,
  type MaybePromise,
  PlugboardError,
  type Plugin,
  systemClock,
  within,
} from "../core/mod.ts";
import type { Identity } from "./shared/identity.ts";

/** Options of {@linkcode rpc}. */
export interface RpcOptions {
  /** Counts the calls of each connection; throws beyond the limit. */
  limits?: { spend(conn: Connection, operation: "call"): void };
  /** How long a call may take before it fails with `timeout`. @default {30000} */
  timeoutMs?: number;
}

/** The caller of a method. */
export interface Caller {
  /** The caller's identity. */
  readonly identity: Identity;
  /** The caller's connection; absent for a call over the HTTP API. */
  readonly conn?: Connection;
}

/** A method that clients can call. */
export interface Method<Args, Result> {
  /** Checks and types the client's arguments; a throw refuses the call with its message. */
  args?(value: unknown): Args;
  /** Whether the caller may call the method. @default {everybody} */
  allow?(caller: Caller, args: Args): MaybePromise<boolean>;
  /** Does the work. An {@linkcode RpcError} reaches the caller; the reason of any other error is only logged. */
  run(args: Args, caller: Caller): MaybePromise<Result>;
}

/**
 * An error that reaches the caller.
 *
 * ```ts
 * import { RpcError } from "@plugboard/server/rpc";
 *
 * function orderOf(orders: Map<string, string>, id: string): string {
 *   const order = orders.get(id);
 *   if (order === undefined) throw new RpcError(404, "There is no such order");
 *   return order;
 * }
 * ```
 */
export class RpcError extends PlugboardError {
  /** For programs; 400–1999 are free for applications. */
  readonly number: number;

  /** Creates an error with a number between 400 and 1999. */
  constructor(number: number, message: string) {
    super("rpc_error", message);
    if (!Number.isInteger(number) || number < 400 || number > 1999) {
      throw new PlugboardError(
        "bad_option",
        `An RPC error's number must be between 400 and 1999, got ${number}`,
      );
    }
    this.number = number;
  }
}

/** What rpc offers to other plugins and to the app. */
export interface Rpc {
  /** Adds a method. Returns the function that removes it. */
  define<Args = unknown, Result = unknown>(name: string, method: Method<Args, Result>): () => void;
  /** Calls a method; rejects with a {@linkcode PlugboardError}. */
  call(name: string, value: unknown, caller: Caller): Promise<unknown>;
  /** The names of all methods. */
  readonly methods: ReadonlySet<string>;
}

/** Lets clients call methods. */
export function rpc({ timeoutMs = 30_000, limits }: RpcOptions = {}): Plugin<Rpc> {
  checkOptions("rpc").positiveInteger("timeoutMs", timeoutMs);
  const methods = new Map<string, Method<unknown, unknown>>();
  const names = new Set<string>();
  let host: Host | undefined;

  async function call(name: string, value: unknown, caller: Caller): Promise<unknown> {
    if (caller.conn !== undefined) limits?.spend(caller.conn, "call");
    if ((caller.identity.expiresAt ?? Infinity) <= (host?.clock ?? systemClock).wallTime()) {
      throw new PlugboardError("token_expired", "Token expired");
    }
    const method = methods.get(name);
    if (method === undefined) {
      throw methods.size === 0
        ? new PlugboardError("not_available", "There are no methods to call")
        : new PlugboardError("method_not_found", "Method not found");
    }
    const args = checked(method, value);
    try {
      if (method.allow !== undefined && await method.allow(caller, args) !== true) {
        throw new PlugboardError("permission_denied", "Permission denied");
      }
      const result = method.run(args, caller);
      return host === undefined
        ? await result
        : await within(host.clock, timeoutMs, `The method ${name}`, result);
    } catch (error) {
      if (error instanceof PlugboardError) throw error;
      host?.log.error(`the method ${name} failed`, { method: name, error });
      throw new PlugboardError("internal", "Internal server error");
    }
  }

  function checked({ args }: Method<unknown, unknown>, value: unknown): unknown {
    try {
      return args === undefined ? value : args(value);
    } catch (error) {
      if (error instanceof PlugboardError) throw error;
      throw new PlugboardError("bad_request", error instanceof Error ? error.message : "Bad arguments");
    }
  }

  return {
    name: "rpc",
    api: {
      define(name, method) {
        if (methods.has(name)) {
          throw new PlugboardError("bad_option", `The method "${name}" is defined twice`);
        }
        methods.set(name, method as Method<unknown, unknown>);
        names.add(name);
        return () => {
          methods.delete(name);
          names.delete(name);
        };
      },
      call,
      methods: names,
    },
    start(given) {
      host = given;
    },
  };
}
