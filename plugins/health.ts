/**
 * Health: tells load balancers and orchestrators whether to send clients here.
 *
 * @module
 */

import type { Host, Plugin } from "../core/mod.ts";

/** Answers `GET /health`: 200 while the server takes clients, 503 while it starts or stops. */
export function health(): Plugin {
  let host: Host;
  return {
    name: "health",
    start(given) {
      host = given;
    },
    routes(app) {
      app.get("/health", (c) => {
        const ready = host.state === "ready";
        const stats = { total_connections: host.connections.size };
        return c.json({ status: ready ? "healthy" : host.state, stats }, ready ? 200 : 503);
      });
    },
  };
}
