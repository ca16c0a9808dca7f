/**
 * The health response: the same for load balancers and orchestrators wherever a server has one.
 *
 * @module
 */

import type { Host } from "../../core/mod.ts";

/** A health check: returns a sentence about the problem, or `undefined` if there is none. */
export type HealthCheck = () => string | undefined;

/** Returns 200 if the server is ready and neither it nor a check reports a problem, else 503. */
export function healthResponse(
  host: Pick<Host, "state" | "problems"> | undefined,
  stats: object,
  checks: readonly HealthCheck[] = [],
): Response {
  const { state, problems: own } = host ?? { state: "idle", problems: [] };
  const problems = [...own, ...checks.flatMap((check) => check() ?? [])];
  const healthy = state === "ready" && problems.length === 0;
  const status = healthy ? "healthy" : state === "ready" ? "unhealthy" : state;
  const body = { status, ...(problems.length > 0 && { problems }), stats };
  return Response.json(body, { status: healthy ? 200 : 503 });
}
