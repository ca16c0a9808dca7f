/** Channels with and without webhooks. The arguments are the folder of the database and the URL of the receiver. */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { presence } from "../../../../plugins/presence.ts";
import { centrifuge } from "../../../../plugins/protocols/centrifuge.ts";
import { webhooks } from "../../../../plugins/webhooks.ts";
import { announce } from "../../contenders/announce.ts";
import { busyPublishers } from "../busy_publishers.ts";

const [folder, url] = Deno.args as [string, string];
const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
const store = server.use(persistence({ path: `${folder}/plugboard.db` }));
const bus = server.use(channels({ namespaces: { free: {}, hooked: {} } }));
server.use(webhooks({
  channels: bus,
  store,
  receivers: [{
    url,
    secrets: [`whsec_${btoa("a secret of 24 bytes or so")}`],
    events: ["publish"],
    namespaces: ["hooked"],
  }],
}));
server.use(centrifuge({ channels: bus, presence: server.use(presence({ channels: bus })) }));
server.use(busyPublishers(bus));
await server.start();
announce(server.address.port);
