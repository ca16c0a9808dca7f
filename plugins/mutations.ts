/**
 * Mutations: methods that write to the database in one transaction. The caller gets the reply after the changes of the
 * live queries that it is subscribed to.
 *
 * ```ts ignore
 * const mutations = server.use(mutations({ store, rpc: methods, queries }));
 * mutations.define("addOrder", {
 *   args: (value) => value as { customer: string; total: number },
 *   allow: ({ identity }) => identity.can("write", "orders"),
 *   run: (tx, { customer, total }) => {
 *     return tx.run("INSERT INTO orders (customer, total) VALUES (?, ?)", [customer, total]).lastId;
 *   },
 * });
 * ```
 *
 * If `run` throws, its writes are rolled back; an `RpcError` reaches the caller with its number. A call with an
 * idempotency key runs once: when the same user repeats it, the first reply is sent again. For callers without a proven user
 * id, a key counts for their connection only. Clients send the key as `{ idempotencyKey, args }` in place of the arguments, which
 * `call` of the client does.
 *
 * @module
 */

import { built, chain, checkOptions, type Host, type MaybePromise, type Plugin } from "../core/mod.ts";
import type { LiveQueries } from "./live_queries.ts";
import type { KeyValues, Store, Sync, Transaction } from "./persistence.ts";
import type { Caller, Method, Rpc } from "./rpc.ts";
import {
  type Check,
  checked,
  defineEach,
  type InputOf,
  type OutputOf,
  type Typed,
} from "./shared/contract.ts";
import { checkIdempotencyKey, keyOf, once, ownerOf } from "./shared/idempotency.ts";

/** Options of {@linkcode mutations}. */
export interface MutationsOptions {
  /** The database. */
  store: Pick<Store, "write" | "keyValues">;
  /** The methods that clients can call. */
  rpc: Pick<Rpc, "define">;
  /** The queries whose changes are sent before the reply. */
  queries?: Pick<LiveQueries, "settled">;
  /** How long the reply for an idempotency key is kept. @default {300000} five minutes */
  rememberMs?: number;
}

/** A method that writes. */
export interface Mutation<Args, Result, ArgsCheck = Check<Args>>
  extends Pick<Method<Args, Result, ArgsCheck>, "args" | "allow"> {
  /** Writes. It cannot be `async`, because a transaction does not wait. */
  run(tx: Transaction, args: Args, caller: Caller): Sync<Result>;
  /**
   * Called with the reply after the commit, before the caller gets it; not for a repeated call. An error is logged: the call has
   * succeeded.
   */
  committed?(reply: unknown, args: Args, caller: Caller): MaybePromise<void>;
}

/** What mutations offers to the app. */
export interface Mutations {
  /** Adds a method to {@linkcode Rpc}. Returns the function that removes it. */
  define<ArgsCheck extends Check, Result>(
    name: string,
    mutation: Mutation<OutputOf<ArgsCheck>, Result, ArgsCheck>,
  ): () => void;
  /** Adds methods by their names. Returns the function that removes them. */
  defineAll(mutations: Readonly<Record<string, AnyMutation>>): () => void;
}

/** A mutation with any types. */
// deno-lint-ignore no-explicit-any -- what `run` takes fits what `args` returns
export type AnyMutation = Mutation<any, unknown, Check>;

/**
 * Returns a mutation with its types, for a contract that clients import: see `@plugboard/server/client`.
 *
 * ```ts
 * import { mutation } from "@plugboard/server/mutations";
 *
 * export const api = {
 *   mutations: {
 *     rename: mutation({
 *       args: (value) => value as { id: number; name: string },
 *       run: (tx, { id, name }) => tx.run("UPDATE people SET name = ? WHERE id = ?", [name, id]).changes,
 *     }),
 *   },
 * };
 * export type Api = typeof api;
 * ```
 */
export function mutation<ArgsCheck extends Check, Result>(
  definition: Mutation<OutputOf<ArgsCheck>, Result, ArgsCheck>,
): Mutation<OutputOf<ArgsCheck>, Result, ArgsCheck> & Typed<InputOf<ArgsCheck>, Result> {
  return definition;
}

/** A call whose arguments are checked. */
interface Call {
  readonly key: string | undefined;
  readonly args: unknown;
}

/** A call with an idempotency key. */
interface Keyed {
  readonly idempotencyKey: string;
  readonly args: unknown;
}

/** Lets clients call methods that write. */
export function mutations(options: MutationsOptions): Plugin<Mutations> {
  const { store, rpc, queries, rememberMs = 300_000 } = options;
  checkOptions("mutations").positiveInteger("rememberMs", rememberMs);
  const replies: KeyValues<{ answer: unknown }> = store.keyValues("idempotency");
  let host: Host | undefined;

  function define(name: string, { args, allow, run, committed }: AnyMutation): () => void {
    const method: Method<Call, unknown> = {
      args(value) {
        const keyed: { idempotencyKey?: string; args: unknown } = isKeyed(value) ? value : { args: value };
        const given = args === undefined ? keyed.args : checked(args, keyed.args);
        return chain(given, (args) => ({ key: keyed.idempotencyKey, args }));
      },
      idempotent: true,
      ...(allow !== undefined && { allow: (caller, call) => allow(caller, call.args) }),
      async run(call, caller) {
        const owner = ownerOf(caller.identity, caller.conn);
        const given = call.key ?? caller.idempotencyKey;
        if (given !== undefined) checkIdempotencyKey(given);
        const key = given === undefined ? undefined : keyOf(owner, name, given);
        /** Absent for a repeated call: the diffs of the first one may still be pending. */
        let commit: object | undefined;
        const { answer } = await store.write((tx) => {
          commit = undefined;
          const work = () => {
            commit = tx.commit;
            return { answer: jsonOf(run(tx, call.args, caller)) };
          };
          if (key === undefined) return work();
          return once(replies.within(tx), { key, owner, ttlMs: rememberMs }, work);
        });
        if (commit !== undefined && committed !== undefined) {
          try {
            await committed(answer, call.args, caller);
          } catch (error) {
            host?.log.error(`what follows the mutation ${name} failed`, { error });
          }
        }
        await queries?.settled(caller.conn, commit);
        return answer;
      },
    };
    return rpc.define(name, method);
  }

  return built({
    name: "mutations",
    api: { define, defineAll: (mutations) => defineEach(mutations, define) },
    start: (given) => void (host = given),
  }, options);
}

function isKeyed(value: unknown): value is Keyed {
  if (typeof value !== "object" || value === null || !("idempotencyKey" in value)) return false;
  checkIdempotencyKey(value.idempotencyKey);
  return true;
}

/** JSON has no form for a large integer. */
function jsonOf(value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
