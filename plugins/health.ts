/**
 * Health: tells load balancers and orchestrators whether to send clients here.
 *
 * @module
 */

import type { Host, Plugin } from "../core/mod.ts";

/** Options of {@linkcode health}. */
export interface HealthOptions {
  /** Asked each time: each tells in a sentence what is wrong, if anything is. */
  checks?: readonly (() => string | undefined)[];
}

/**
 * Answers `GET /health`: 200 while all is well, 503 while the server starts or stops or a check finds something wrong.
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
      app.get("/health", (c) => {
        const problems = checks.flatMap((check) => check() ?? []);
        const { state } = host;
        const healthy = state === "ready" && problems.length === 0;
        const body = {
          status: healthy ? "healthy" : state === "ready" ? "unhealthy" : state,
          ...(problems.length > 0 && { problems }),
          stats: { total_connections: host.connections.size },
        };
        return c.json(body, healthy ? 200 : 503);
      });
    },
  };
}
