/**
 * The method that calls the app's own methods.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Rpc } from "../rpc.ts";
import { json } from "./fields.ts";
import { compatible, type Method } from "./types.ts";

/** Makes the method. */
export function rpcMethod(rpc: Pick<Rpc, "call" | "methods"> | undefined): Method {
  return compatible({
    name: "rpc",
    summary: "Calls a method of the app",
    params: {
      type: "object",
      properties: {
        method: { type: "string", minLength: 1, description: "The name of the method" },
        params: json("Its arguments"),
      },
      required: ["method"],
    },
    result: { type: "object", properties: { data: json("What it returns") } },
    permission: "write:rpc:{method}",
    async run({ method, params }, { identity }) {
      if (rpc?.methods.has(method) !== true) throw new PlugboardError("method_not_found", "Method not found");
      const value = await rpc.call(method, params, { identity });
      return value === undefined ? "{}" : `{"data":${JSON.stringify(value) ?? "null"}}`;
    },
  });
}
