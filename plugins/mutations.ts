/**
 * Mutations: methods that write to the database in one transaction, and answer when the live queries they touch
 * have changed for everybody.
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
 * A throw undoes everything; an `RpcError` reaches the caller with its number. A call with an idempotency key runs
 * once: the same caller gets the first answer again.
 *
 * @module
 */

import { checkOptions, PlugboardError, type Plugin } from "../core/mod.ts";
import type { LiveQueries } from "./live_queries.ts";
import type { KeyValues, Store, Sync, Transaction } from "./persistence.ts";
import type { Caller, Method, Rpc } from "./rpc.ts";
import { once } from "./shared/idempotency.ts";

/** Options of {@linkcode mutations}. */
export interface MutationsOptions {
  /** What they write to. */
  store: Pick<Store, "write" | "keyValues">;
  /** What clients call. */
  rpc: Pick<Rpc, "define">;
  /** The queries that are to have changed before the answer. */
  queries?: Pick<LiveQueries, "settled">;
  /** How long the answer to an idempotency key is kept. @default {300000} five minutes */
  rememberMs?: number;
}

/** A method that writes. */
export interface Mutation<Args, Result> extends Pick<Method<Args, Result>, "args" | "allow"> {
  /** Writes. Not `async`: a transaction cannot wait. */
  run(tx: Transaction, args: Args, caller: Caller): Sync<Result>;
}

/** What mutations offers to the app. */
export interface Mutations {
  /** Adds a method to {@linkcode Rpc}. Returns the function that removes it. */
  define<Args = unknown, Result = unknown>(name: string, mutation: Mutation<Args, Result>): () => void;
}

/** What a call with an idempotency key looks like: the arguments are inside. */
interface Keyed {
  readonly idempotencyKey: string;
  readonly args: unknown;
}

/** Lets clients call methods that write. */
export function mutations(options: MutationsOptions): Plugin<Mutations> {
  const { store, rpc, queries, rememberMs = 300_000 } = options;
  checkOptions("mutations").positiveInteger("rememberMs", rememberMs);
  const answers: KeyValues<{ answer: unknown }> = store.keyValues("idempotency");

  return {
    name: "mutations",
    api: {
      define<Args, Result>(name: string, { args, allow, run }: Mutation<Args, Result>) {
        const method: Method<{ key: string | undefined; args: Args }, unknown> = {
          args(value) {
            const keyed = isKeyed(value) ? value : { idempotencyKey: undefined, args: value };
            const checked = args === undefined ? keyed.args as Args : args(keyed.args);
            return { key: keyed.idempotencyKey, args: checked };
          },
          ...(allow !== undefined && { allow: (caller, call) => allow(caller, call.args) }),
          async run(call, caller) {
            // One user's key is nothing to another.
            const id = call.key === undefined
              ? undefined
              : JSON.stringify([caller.identity.user, name, call.key]);
            const answer = await store.write((tx) => {
              const work = () => ({ answer: jsonOf(run(tx, call.args, caller)) });
              return id === undefined ? work() : once(answers.within(tx), id, rememberMs, work);
            });
            await queries?.settled(caller.conn);
            return answer.answer;
          },
        };
        return rpc.define(name, method);
      },
    },
  };
}

function isKeyed(value: unknown): value is Keyed {
  if (typeof value !== "object" || value === null || !("idempotencyKey" in value)) return false;
  const { idempotencyKey } = value;
  if (typeof idempotencyKey === "string" && idempotencyKey !== "" && idempotencyKey.length <= 200) {
    return true;
  }
  throw new PlugboardError("bad_request", "An idempotency key is a text of 1 to 200 characters");
}

/** A large integer has no form in JSON. */
function jsonOf(value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
