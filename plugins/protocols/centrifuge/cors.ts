import { refusal } from "../../../core/mod.ts";
import { originCheck } from "../../shared/origins.ts";

/** Whether the page that sent a request may connect. A request without `Origin` is not from a page. */
export type OriginRule = (headers: Headers) => boolean;

/** Without sign-in, only pages of this machine may connect: any other could act for its visitors. */
export const localOrigins: OriginRule =
  originCheck("centrifuge", { allowed: [], exposed: () => false, open: true }).allowsOrigin;

/** Returns the headers that let a page read the response, or the response that refuses its request. */
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

/** Answers the request that a browser sends before the actual one. */
export function preflight(request: Request, allows: OriginRule): Response {
  const headers = corsHeaders(request, allows);
  if (headers instanceof Response) return headers;
  const methods = { "access-control-allow-methods": "POST, OPTIONS", "access-control-max-age": "300" };
  return new Response(null, { status: 204, headers: { ...headers, ...methods } });
}
