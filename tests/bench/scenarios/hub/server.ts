/** The hub. Clients need no token, as in the original. */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { auth } from "../../../../plugins/auth.ts";
import { hub } from "../../../../plugins/protocols/hub.ts";
import { announce } from "../../contenders/announce.ts";

const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
const access = server.use(auth({ anonymous: { permissions: [] } }));
server.use(hub({ channels: server.use(channels()), access, apiKey: "bench", requireToken: false }));
await server.start();
announce(server.address.port);
