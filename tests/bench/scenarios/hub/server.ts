/** The hub, with sign-in left out as its original has none. */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { hub } from "../../../../plugins/protocols/hub.ts";
import { announce } from "../../contenders/announce.ts";

const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
server.use(hub({ channels: server.use(channels()), apiKey: "bench" }));
await server.start();
announce(server.address.port);
