/** A node with durable channels that one node owns. Arguments: URL of Redis, the database, and the time of the lease. */

import { run, Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { owner } from "../../../../plugins/owner.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { redis } from "../../../../plugins/redis.ts";
import { sqliteBroker } from "../../../../plugins/sqlite_broker.ts";
import { channelProtocol } from "../../../kit/channel_protocol.ts";

const [url = "", path = "", ttlMs] = Deno.args;
const server = new Server({ port: 0 });
const store = server.use(persistence({ path }));
const { cluster, leases } = server.use(redis({ urls: [url] }));
const address = path.split("/").at(-2)!;
const own = server.use(owner({ leases, store, address, ttlMs: Number(ttlMs) }));
const broker = own.broker(sqliteBroker({ store: own.store(store) }));
const bus = server.use(channels({ broker, cluster, extensions: [own.extension] }));
server.use(channelProtocol(bus));
await run(server);
await Deno.stdout.write(new TextEncoder().encode(`${server.address.url}\n`));
