/**
 * The method that calls the app's own methods.
 *
 * @module
 */

import { type Clock, PlugboardError } from "../../core/mod.ts";
import type { Rpc } from "../rpc.ts";
import { checkIdempotencyKey, keyOf, memoryResults, once, ownerOf } from "../shared/idempotency.ts";
import { json } from "./fields.ts";
import { compatible, type Method } from "./types.ts";

/** The maximum number of results that are kept for repeated calls, and the maximum characters of their keys. */
const MAX_RESULTS = 10_000;
const MAX_CHARS = 16_777_216;

/** Makes the method. Results of calls with an idempotency key are kept for `idempotencyMs`. */
export function rpcMethod(
  rpc: Pick<Rpc, "call" | "methods"> | undefined,
  idempotencyMs: number,
  clock: () => Clock,
): Method {
  const results = memoryResults<Promise<string>>({ maxEntries: MAX_RESULTS, maxChars: MAX_CHARS, clock });

  return compatible({
    name: "rpc",
    summary: "Calls a method of the app",
    params: {
      type: "object",
      properties: {
        method: { type: "string", minLength: 1, description: "The name of the method" },
        params: json("Its arguments"),
        idempotency_key: {
          type: "string",
          maxLength: 200,
          description: "A call that is repeated with the same key runs once, and gets the first result again",
        },
      },
      required: ["method"],
    },
    result: { type: "object", properties: { data: json("What it returns") } },
    permission: "write:rpc:{method}",
    async run({ method, params, idempotency_key = "" }, { identity }) {
      if (rpc?.methods.has(method) !== true) throw new PlugboardError("method_not_found", "Method not found");
      const call = async () => {
        const value = await rpc.call(method, params, { identity });
        return value === undefined ? "{}" : `{"data":${JSON.stringify(value) ?? "null"}}`;
      };
      if (idempotency_key === "") return await call();
      checkIdempotencyKey(idempotency_key);
      const owner = ownerOf(identity, undefined);
      const key = keyOf(owner, `rpc ${method}`, idempotency_key);
      return await once(results, { key, owner, ttlMs: idempotencyMs }, call);
    },
  });
}
