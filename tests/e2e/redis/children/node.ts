/**
 * A node with channels and presence in Redis. Arguments: URLs of Redis, its timeout, the timeout of presence, the port,
 * how far its clock is ahead, and where its webhooks go with their secret. Prints its URL, and at the end when it closed its
 * clients while it stopped.
 */

import "./clock_ahead.ts";
import { run, Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { presence } from "../../../../plugins/presence.ts";
import { redis } from "../../../../plugins/redis.ts";
import { webhooks } from "../../../../plugins/webhooks.ts";
import { channelProtocol } from "../../../kit/channel_protocol.ts";

const [urls = "", timeoutMs, presenceMs, port, , url, secret] = Deno.args;
const server = new Server({ port: Number(port), drainMs: 2_000 });
const shared = server.use(redis({ urls: urls.split(","), timeoutMs: Number(timeoutMs) }));
const bus = server.use(channels({
  broker: shared.broker,
  cluster: shared.cluster,
  defaults: { historySize: 10_000, recoveryLimit: 10_000, recovery: "always", joinLeave: "all" },
}));
const people = server.use(
  presence({ channels: bus, store: shared.presenceStore, timeoutMs: Number(presenceMs) }),
);
if (url !== undefined && secret !== undefined) {
  const receivers = [
    { url, secrets: [secret], events: ["occupied", "vacated", "presence"], batchMs: 0 } as const,
  ];
  server.use(webhooks({ channels: bus, presence: people, occupancy: shared.occupancy, receivers }));
}
server.use(channelProtocol(bus));
const print = (line: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
const closedAt: number[] = [];
let draining = false;
server.use({
  name: "closes",
  drain: () => void (draining = true),
  close: () => void (draining && closedAt.push(performance.now())),
  stop: () => print(JSON.stringify(closedAt)),
});
await run(server);
print(server.address.url);
