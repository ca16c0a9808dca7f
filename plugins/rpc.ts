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
  built,
  checkOptions,
  type Clock,
  type Connection,
  type Host,
  type MaybePromise,
  PlugboardError,
  type Plugin,
  systemClock,
  within,
} from "../core/mod.ts";
import {
  type Check,
  checked,
  defineEach,
  type InputOf,
  jsonSchemaOf,
  type OutputOf,
  type Typed,
} from "./shared/contract.ts";
import { checkIdempotencyKey, keyOf, memoryResults, ownerOf } from "./shared/idempotency.ts";
import type { Identity } from "./shared/identity.ts";
import { shownName } from "./shared/shown_name.ts";

export type {
  Check,
  InputOf,
  OutputOf,
  SchemaIssue,
  SchemaResult,
  StandardSchema,
  Typed,
} from "./shared/contract.ts";

/** Options of {@linkcode rpc}. */
export interface RpcOptions {
  /** Counts the calls of each connection; throws beyond the limit. */
  limits?: { spend(conn: Connection, operation: "call"): void };
  /** Runs methods that are not defined here: {@linkcode proxies}. */
  backend?: RpcBackend | undefined;
  /** How long a call may take before it fails with `timeout`. @default {30000} */
  timeoutMs?: number;
  /** How long the reply for an idempotency key is stored. @default {300000} five minutes */
  rememberMs?: number;
  /** Stores these replies across restarts: `store.keyValues("rpc")`. @default {in memory, at most 10,000} */
  keep?: ReplyStore;
}

/** Runs methods in another service. */
export interface RpcBackend {
  /** Returns the method with this name, if the service has it. */
  methodFor(name: string): Method<unknown, unknown> | undefined;
}

/** Stores replies by idempotency key. */
export interface ReplyStore {
  /** Returns a reply. */
  get(key: string): { readonly reply: unknown } | undefined;
  /** Stores a reply for a time, in the share of an owner. */
  set(
    key: string,
    reply: { readonly reply: unknown },
    options: { readonly ttlMs: number; readonly owner: string },
  ): MaybePromise<void>;
}

/** The caller of a method. */
export interface Caller {
  /** The caller's identity. */
  readonly identity: Identity;
  /** The caller's connection; absent for a call over the HTTP API. */
  readonly conn?: Connection;
  /**
   * The caller's key for this call, of 1 to 200 characters: a repeated call with the same key gets the first reply. While
   * the first one runs, it waits for it. A failed call can be repeated.
   */
  readonly idempotencyKey?: string;
}

/** A method that clients can call. */
export interface Method<Args, Result, ArgsCheck = Check<Args>> {
  /**
   * Checks and types the client's arguments: a schema of zod, valibot, arktype or another library with Standard Schema, or
   * a function, whose exception refuses the call with its message. @default {none: `unknown`}
   */
  args?: ArgsCheck;
  /** Whether the caller may call the method. @default {everyone who is connected, whatever their permissions} */
  allow?(caller: Caller, args: Args): MaybePromise<boolean>;
  /**
   * Whether `run` itself takes care of {@linkcode Caller.idempotencyKey}, for example in its transaction. Otherwise the
   * reply is stored when it is there: a call that a crash interrupts runs again when it is repeated. @default {false}
   */
  idempotent?: boolean;
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
  define<ArgsCheck extends Check, Result>(
    name: string,
    method: Method<OutputOf<ArgsCheck>, Result, ArgsCheck>,
  ): () => void;
  /** Adds methods by their names. Returns the function that removes them. */
  defineAll(methods: Readonly<Record<string, AnyMethod>>): () => void;
  /** Calls a method; rejects with a {@linkcode PlugboardError}. */
  call(name: string, value: unknown, caller: Caller): Promise<unknown>;
  /** The names of all methods. */
  readonly methods: ReadonlySet<string>;
  /** Returns the JSON Schema of a method's arguments, if its schema can tell it (Standard JSON Schema, as in zod). */
  schemaOf(name: string): unknown;
}

/** A method with any types. */
// deno-lint-ignore no-explicit-any -- what `run` takes fits what `args` returns
export type AnyMethod = Method<any, unknown, Check>;

/**
 * Returns a method with its types, for a contract that clients import: see `@plugboard/server/client`.
 *
 * ```ts
 * import { method } from "@plugboard/server/rpc";
 *
 * export const api = {
 *   methods: {
 *     add: method({ args: (value) => value as { a: number; b: number }, run: ({ a, b }) => a + b }),
 *   },
 * };
 * export type Api = typeof api;
 * ```
 */
export function method<ArgsCheck extends Check, Result>(
  definition: Method<OutputOf<ArgsCheck>, Result, ArgsCheck>,
): Method<OutputOf<ArgsCheck>, Result, ArgsCheck> & Typed<InputOf<ArgsCheck>, Awaited<Result>> {
  return definition;
}

/** Lets clients call methods. */
export function rpc(options: RpcOptions = {}): Plugin<Rpc> {
  const { timeoutMs = 30_000, rememberMs = 300_000, limits, backend } = options;
  const check = checkOptions("rpc");
  check.positiveInteger("timeoutMs", timeoutMs);
  check.positiveInteger("rememberMs", rememberMs);
  const clock = () => host?.clock ?? systemClock;
  const replies = options.keep ?? memoryReplies(clock);
  /** Calls with an idempotency key that run now. */
  const running = new Map<string, Promise<unknown>>();
  const methods = new Map<string, AnyMethod>();
  const names = new Set<string>();
  let host: Host | undefined;

  async function call(name: string, value: unknown, caller: Caller): Promise<unknown> {
    if (caller.conn !== undefined) limits?.spend(caller.conn, "call");
    if ((caller.identity.expiresAt ?? Infinity) <= clock().wallTime()) {
      throw new PlugboardError("token_expired", "Token expired");
    }
    const method = methods.get(name) ?? backend?.methodFor(name);
    if (method === undefined) {
      throw methods.size === 0 && backend === undefined
        ? new PlugboardError("not_available", "There are no methods to call")
        : new PlugboardError("method_not_found", `Method not found: ${shownName(name)}`);
    }
    try {
      const given = method.args === undefined ? value : checked(method.args, value);
      const args = given instanceof Promise ? await inTime(`The check of ${name}`, given) : given;
      if (method.allow !== undefined && await method.allow(caller, args) !== true) {
        throw new PlugboardError("permission_denied", "Permission denied");
      }
      const run = () => method.run(args, caller);
      const { idempotencyKey: key } = caller;
      const result = key === undefined || method.idempotent ? run() : runOnce(name, key, caller, run);
      return await inTime(`The method ${name}`, result);
    } catch (error) {
      if (error instanceof PlugboardError) throw error;
      host?.log.error(`the method ${name} failed`, { method: name, error });
      throw new PlugboardError("internal", "Internal server error");
    }
  }

  function inTime(what: string, result: MaybePromise<unknown>): MaybePromise<unknown> {
    return host === undefined ? result : within(host.clock, timeoutMs, what, result);
  }

  function runOnce(
    name: string,
    idempotencyKey: string,
    { identity, conn }: Caller,
    run: () => MaybePromise<unknown>,
  ): MaybePromise<unknown> {
    checkIdempotencyKey(idempotencyKey);
    const owner = ownerOf(identity, conn);
    const key = keyOf(owner, name, idempotencyKey);
    const stored = replies.get(key);
    if (stored !== undefined) return stored.reply;
    const earlier = running.get(key);
    if (earlier !== undefined) return earlier;
    // The timeout does not end it: the method goes on.
    const call = Promise.try(run).then(async (reply) => {
      try {
        await replies.set(key, { reply }, { ttlMs: rememberMs, owner });
      } catch (error) {
        host?.log.error(`the reply of ${name} was not stored for its idempotency key`, { error });
      }
      return reply;
    });
    running.set(key, call);
    call.catch(() => {}).then(() => running.delete(key));
    return call;
  }

  function define(name: string, method: AnyMethod): () => void {
    if (methods.has(name)) {
      throw new PlugboardError("bad_option", `The method "${name}" is defined twice`);
    }
    methods.set(name, method);
    names.add(name);
    return () => {
      methods.delete(name);
      names.delete(name);
    };
  }

  return built({
    name: "rpc",
    api: {
      define,
      defineAll: (methods) => defineEach(methods, define),
      call,
      methods: names,
      schemaOf: (name) => jsonSchemaOf(methods.get(name)?.args),
    },
    start(given) {
      host = given;
    },
  }, options);
}

/** Limits of the replies in memory. */
const MAX_REPLIES = 10_000;
const MAX_REPLY_CHARS = 67_108_864;

function memoryReplies(clock: () => Clock): ReplyStore {
  const sizeOf = ({ reply }: { reply: unknown }) => JSON.stringify(reply)?.length ?? 0;
  return memoryResults({ maxEntries: MAX_REPLIES, maxChars: MAX_REPLY_CHARS, clock, sizeOf });
}
