/**
 * A node with channels and presence in Redis. Arguments: URLs of Redis, its timeout, the timeout of presence, the port, and
 * how far its clock is ahead. Prints its URL.
 */

import "./clock_ahead.ts";
import { run, Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { presence } from "../../../../plugins/presence.ts";
import { redis } from "../../../../plugins/redis.ts";
import { channelProtocol } from "../../../kit/channel_protocol.ts";

const [urls = "", timeoutMs, presenceMs, port] = Deno.args;
const server = new Server({ port: Number(port), drainMs: 2_000 });
const shared = server.use(redis({ urls: urls.split(","), timeoutMs: Number(timeoutMs) }));
const bus = server.use(channels({
  broker: shared.broker,
  cluster: shared.cluster,
  defaults: { historySize: 10_000, recoveryLimit: 10_000, recovery: "always", joinLeave: "all" },
}));
server.use(presence({ channels: bus, store: shared.presenceStore, timeoutMs: Number(presenceMs) }));
server.use(channelProtocol(bus));
await run(server);
await Deno.stdout.write(new TextEncoder().encode(`${server.address.url}\n`));
