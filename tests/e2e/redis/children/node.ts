/** A node with channels and presence in Redis. Arguments: URLs of Redis, and the timeout. Prints its URL. */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { presence } from "../../../../plugins/presence.ts";
import { redis } from "../../../../plugins/redis.ts";
import { channelProtocol } from "../../../kit/channel_protocol.ts";

const [urls = "", timeoutMs, presenceMs] = Deno.args;
const server = new Server({ port: 0 });
const shared = server.use(redis({ urls: urls.split(","), timeoutMs: Number(timeoutMs) }));
const bus = server.use(channels({
  broker: shared.broker,
  cluster: shared.cluster,
  defaults: { historySize: 10_000, recoveryLimit: 10_000, recovery: "always", joinLeave: "all" },
}));
server.use(presence({ channels: bus, store: shared.presenceStore, timeoutMs: Number(presenceMs) }));
server.use(channelProtocol(bus));
await server.start();
await Deno.stdout.write(new TextEncoder().encode(`${server.address.url}\n`));
