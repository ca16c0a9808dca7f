import { run, Server } from "./core/mod.ts";
import { health } from "./plugins/health.ts";
import { echo } from "./plugins/protocols/echo.ts";

const server = new Server({
  port: Number(Deno.env.get("PORT") ?? 8080),
  hostname: Deno.env.get("HOST") ?? "127.0.0.1",
  ...(Deno.env.get("LIMITS") === "off" && { maxConnections: 1e9, maxConnectionsPerIp: 1e9 }),
});
server.use(health());
server.use(echo());
await run(server);
