/**
 * What pages of other origins may do, as browsers want to be told for requests that are no WebSocket.
 *
 * @module
 */

import { refusal } from "../../../core/mod.ts";
import { originCheck } from "../../shared/origins.ts";

/** Whether a page of this origin may talk to the server; requests without `Origin` are not a page's. */
export type OriginRule = (headers: Headers) => boolean;

/** Without sign-in, only pages of this machine may: any other could act for whoever visits it. */
export const localOrigins: OriginRule =
  originCheck("centrifuge", { allowed: [], exposed: () => false, open: true }).allowsOrigin;

/** The headers that let a page read the response, or the response that refuses its request. */
export function corsHeaders({ headers }: Request, allows: OriginRule): Record<string, string> | Response {
  const origin = headers.get("origin");
  if (!allows(headers)) {
    return refusal(403, "bad_origin", `Pages of ${origin} may not connect`, { vary: "origin" });
  }
  if (origin === null) return {};
  const wanted = headers.get("access-control-request-headers");
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
    ...(wanted !== null && { "access-control-allow-headers": wanted }),
    vary: "origin",
  };
}

/** The answer to a browser that asks before it sends the request itself. */
export function preflight(request: Request, allows: OriginRule): Response {
  const headers = corsHeaders(request, allows);
  if (headers instanceof Response) return headers;
  const methods = { "access-control-allow-methods": "POST, OPTIONS", "access-control-max-age": "300" };
  return new Response(null, { status: 204, headers: { ...headers, ...methods } });
}
