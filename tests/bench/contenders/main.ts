/** Everything that `main.ts` plugs together, as users run it, with limits that let one address open all connections. */

import { plugboard } from "../../../main.ts";
import { load } from "../../../plugins/servers/configured/load.ts";
import { announce } from "./announce.ts";

const many = 1_000_000;
const perSecond = `${many}/1s`;
const file = {
  server: { maxConnections: many, maxConnectionsPerIp: many },
  limits: {
    connectsPerIp: perSecond,
    connectionsPerIp: many,
    connectionsPerUser: many,
    messages: perSecond,
    messagesPerUser: perSecond,
    publishes: perSecond,
    publishesPerUser: perSecond,
    publishesPerChannel: perSecond,
    subscribesPerUser: perSecond,
    requests: perSecond,
  },
};
const server = plugboard(load({
  args: ["--port", "0", "--data-dir", Deno.makeTempDirSync(), "--log-level", "error"],
  env: () => undefined,
  dotEnv: () => undefined,
  read: (path) => path === "plugboard.json" ? JSON.stringify(file) : undefined,
}));
await server.start();
announce(server.address.port);
