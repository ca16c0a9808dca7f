/**
 * The hub alone: backends send messages to users, to sessions and to all clients.
 *
 *     HUB_API_KEY=your-secret-key deno run --allow-net --allow-env examples/hub.ts
 *
 * Then connect a client, and send to it:
 *
 *     wscat -c 'ws://localhost:8081/ws?userId=user123&sessionId=session456'
 *     curl localhost:8081/api/send -H 'X-API-Key: your-secret-key' \
 *       -d '{"targetUserId":"user123","message":{"type":"notification","payload":{"title":"Hello"}}}'
 *
 * Settings from the environment: PORT (8081), HUB_API_KEY (required), READ_TIMEOUT (60s), WRITE_TIMEOUT (10s),
 * MAX_MESSAGE_SIZE (512KB); and beyond the original's, HOST (127.0.0.1), ALLOWED_ORIGINS (any), and KEEP (nothing):
 * how long messages are kept for sessions that are away, in seconds. `deploy/hub` has it in a container.
 */

import { messageOf, run, Server } from "@plugboard/server";
import { auth } from "@plugboard/server/auth";
import { channels } from "@plugboard/server/channels";
import { hub, hubSettings } from "@plugboard/server/hub";
import { logging } from "@plugboard/server/logging";
import { rateLimits } from "@plugboard/server/rate_limits";

const { HOST: hostname = "127.0.0.1", ALLOWED_ORIGINS, KEEP, ...env } = Deno.env.toObject();

/** Behind a proxy, all clients may have the same address. */
const MAX_CONNECTIONS_PER_IP = 50_000;

function hubServer(): Server {
  const { port, readTimeoutMs, ...settings } = hubSettings(env);
  const server = new Server({
    port,
    hostname,
    // A client that is silent for two intervals is gone.
    pingIntervalMs: Math.ceil(readTimeoutMs / 2),
    pongTimeoutMs: Math.ceil(readTimeoutMs / 6),
    maxConnectionsPerIp: MAX_CONNECTIONS_PER_IP,
  });
  server.use(logging());
  const limits = server.use(rateLimits({
    limits: { connectionsPerIp: MAX_CONNECTIONS_PER_IP, connectsPerIp: "off" },
  }));
  const access = server.use(auth({
    anonymous: { permissions: [] },
    origins: ["*"], // the hub checks the origins of clients
    limits: limits.signIns,
  }));
  server.use(hub({
    channels: server.use(channels()),
    access,
    requireToken: false,
    readTimeoutMs,
    ...settings,
    ...(ALLOWED_ORIGINS && { allowedOrigins: ALLOWED_ORIGINS.split(",") }),
    ...(KEEP && { keep: { ms: Number(KEEP) * 1000, doubtMs: readTimeoutMs } }),
  }));
  return server;
}

let server: Server;
try {
  server = hubServer();
} catch (error) {
  // deno-lint-ignore no-console -- the server has not started, so it cannot log
  console.error(messageOf(error));
  Deno.exit(1);
}
await run(server);
