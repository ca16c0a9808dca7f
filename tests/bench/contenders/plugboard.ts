/**
 * Channels with presence and calls, over the centrifuge and json protocols. `no-log` disables history, `durable` stores it in
 * a temporary database, `workers` holds the sockets in two workers, and URLs of Redis put channels and presence there.
 */

import { Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { health } from "../../../plugins/health.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { presence } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { redis } from "../../../plugins/redis.ts";
import { rpc } from "../../../plugins/rpc.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { workers } from "../../../plugins/workers.ts";
import { announce } from "./announce.ts";

const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
server.use(health());
const urls = Deno.args.filter((each) => each.startsWith("redis:"));
const shared = urls.length > 0 ? server.use(redis({ urls })) : undefined;
const path = Deno.args.includes("durable") ? `${Deno.makeTempDirSync()}/plugboard.db` : undefined;
const store = path && server.use(persistence({ path }));
const broker = store ? sqliteBroker({ store }) : shared?.broker;
const bus = server.use(channels({
  defaults: Deno.args.includes("no-log") ? { historySize: 0 } : {},
  ...(broker && { broker }),
  ...(shared && { cluster: shared.cluster }),
}));
const people = server.use(presence({ channels: bus, ...(shared && { store: shared.presenceStore }) }));
const services = { channels: bus, presence: people, rpc: server.use(rpc()) };
server.use(centrifuge(services));
server.use(json(services));
if (Deno.args.includes("workers")) server.use(workers({ count: 2 }));
await server.start();
announce(server.address.port);
