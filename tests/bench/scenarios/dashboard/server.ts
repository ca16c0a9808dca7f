/** Channels as in `contenders/plugboard.ts`; with `stats`, also statistics. */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { presence } from "../../../../plugins/presence.ts";
import { centrifuge } from "../../../../plugins/protocols/centrifuge.ts";
import { stats } from "../../../../plugins/stats.ts";
import { announce } from "../../contenders/announce.ts";

const server = new Server({ port: 0, maxConnections: 100_000, maxConnectionsPerIp: 100_000 });
const bus = server.use(channels());
const people = server.use(presence({ channels: bus }));
if (Deno.args.includes("stats")) server.use(stats({ channels: bus, allow: () => true }));
server.use(centrifuge({ channels: bus, presence: people }));
await server.start();
announce(server.address.port);
