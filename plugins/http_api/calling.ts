/**
 * The methods that call and list the app's own methods.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Rpc } from "../rpc.ts";
import { errorNumber } from "../shared/error_numbers.ts";
import { shownName } from "../shared/shown_name.ts";
import { internalError } from "./errors.ts";
import { json } from "./fields.ts";
import { compatible, type Method, own } from "./types.ts";

/** Makes the methods. */
export function rpcMethods(rpc: Pick<Rpc, "call" | "methods" | "schemaOf"> | undefined): Method[] {
  return [rpcMethod(rpc), listMethod(rpc)];
}

function listMethod(rpc: Pick<Rpc, "methods" | "schemaOf"> | undefined): Method {
  return own({
    name: "methods",
    summary: "Lists the methods of the app",
    params: { type: "object", properties: {} },
    result: {
      type: "object",
      properties: {
        methods: { type: "array", items: { type: "string" } },
        schemas: json("The JSON Schema of the arguments, by method, where it is known"),
      },
    },
    permission: "admin:rpc",
    run() {
      const methods = [...rpc?.methods ?? []].sort();
      const schemas = methods.flatMap((name) => {
        const schema = rpc?.schemaOf(name);
        return schema === undefined ? [] : [[name, schema] as const];
      });
      return JSON.stringify({ methods, schemas: Object.fromEntries(schemas) });
    },
  });
}

function rpcMethod(rpc: Pick<Rpc, "call" | "methods"> | undefined): Method {
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
      if (rpc?.methods.has(method) !== true) {
        throw new PlugboardError("method_not_found", `Method not found: ${shownName(method)}`);
      }
      const caller = { identity, ...(idempotency_key !== "" && { idempotencyKey: idempotency_key }) };
      const value = await withReason(rpc.call(method, params, caller));
      return value === undefined ? "{}" : `{"data":${JSON.stringify(value) ?? "null"}}`;
    },
  });
}

/** Gives an error of a call its reason, which Centrifugo's fixed texts do not have. */
async function withReason<Value>(call: Promise<Value>): Promise<Value> {
  try {
    return await call;
  } catch (error) {
    const number = errorNumber(error);
    if (number === undefined || number === internalError.code) throw error;
    throw Object.assign(error as PlugboardError, { number });
  }
}
