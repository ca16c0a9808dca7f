/**
 * The hub alone: backends send messages to users, to sessions and to everybody.
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
import { channels } from "@plugboard/server/channels";
import { hub, hubSettings } from "@plugboard/server/hub";
import { logging } from "@plugboard/server/logging";

const { HOST, ALLOWED_ORIGINS, KEEP, ...env } = Deno.env.toObject();

function hubServer(): Server {
  const { port, readTimeoutMs, ...settings } = hubSettings(env);
  const server = new Server({
    port,
    hostname: HOST ?? "127.0.0.1",
    // Whoever was not heard of for two intervals is gone.
    pingIntervalMs: Math.ceil(readTimeoutMs / 2),
    pongTimeoutMs: Math.ceil(readTimeoutMs / 6),
    // Behind a proxy, everybody seems to come from one address.
    maxConnectionsPerIp: 50_000,
  });
  server.use(logging());
  server.use(hub({
    channels: server.use(channels()),
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
  // deno-lint-ignore no-console -- there is no server yet whose log could tell it
  console.error(messageOf(error));
  Deno.exit(1);
}
await run(server);
