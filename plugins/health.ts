/**
 * Health: tells load balancers and orchestrators whether to send clients here.
 *
 * @module
 */

import type { Host, Plugin } from "../core/mod.ts";
import { type HealthCheck, healthResponse } from "./shared/health.ts";

export type { HealthCheck } from "./shared/health.ts";

/** Options of {@linkcode health}. */
export interface HealthOptions {
  /** Checks that run on each request. */
  checks?: readonly HealthCheck[];
}

/**
 * Answers `GET /health`: 200 if all is well, 503 while the server starts or stops or a check reports a problem.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { health } from "@plugboard/server/health";
 * import { persistence } from "@plugboard/server/persistence";
 *
 * const server = new Server({ port: 0 });
 * const store = server.use(persistence({ path: ":memory:" }));
 * server.use(health({ checks: [() => store.problem] }));
 * ```
 */
export function health({ checks = [] }: HealthOptions = {}): Plugin {
  let host: Host;
  return {
    name: "health",
    start(given) {
      host = given;
    },
    routes(app) {
      app.get(
        "/health",
        () => healthResponse(host, { total_connections: host.connections.size }, checks),
      );
    },
  };
}
