/** A server with webhooks whose process is killed: publishes numbers, and prints a line when their events are stored. */

import { Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { webhooks } from "../../../plugins/webhooks.ts";
import { SECRET } from "./kit.ts";

const [path = "", url = "", from = "0", count = "0"] = Deno.args;
const server = new Server({ port: 0 });
const store = server.use(persistence({ path }));
const bus = server.use(channels());
server.use(webhooks({
  channels: bus,
  store,
  receivers: [{ name: "test", url, secrets: [SECRET], events: ["publish"], maxBatch: 7, batchMs: 0 }],
}));
await server.start();
for (let i = 0; i < Number(count); i++) await bus.publish("news", Number(from) + i);
const stored = () => store.get<{ n: number }>("SELECT max(id) AS n FROM plugboard_webhook_events")?.n ?? 0;
while (Number(count) > 0 && stored() < Number(count)) await new Promise((resolve) => setTimeout(resolve, 5));
// deno-lint-ignore no-console -- read by the test
console.log("stored");
