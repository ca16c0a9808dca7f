import { KNOWN } from "../../http_api/methods.ts";
import type { Verb } from "../../../../plugins/auth.ts";
import type { Needs } from "./callers.ts";
import { type Operation, route } from "./operations.ts";

/** Needs an API key or the permission of an operator, and a permission for the request itself if there is one. */
function asBackend(permission?: string): Needs {
  return ({ isBackend, can }, mode) => {
    if (mode === "open") return true;
    if (isBackend !== true && !can("admin", "api")) return false;
    const [verb, ...resource] = permission?.split(":") ?? [];
    return verb === undefined || can(verb as Verb, resource.join(":"));
  };
}

/** The methods of the API. */
export const API_OPERATIONS: readonly Operation[] = [
  ...Object.entries(KNOWN).map(([method, { params, permission }]) =>
    route(`POST /api/${method}`, asBackend(permission), { body: JSON.stringify(params) })
  ),
  route("POST /api", asBackend(), { body: '{"method":"publish","params":{"channel":"news","data":1}}' }),
  ...["/api", "/api/openapi.json", "/api/page.css", "/api/page.js"].map((path) =>
    route(`GET ${path}`, "nothing")
  ),
];
