/** A server that exports its metrics through OpenTelemetry. */

import { Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { stats } from "../../../plugins/stats.ts";

const server = new Server({ port: 0 });
const bus = server.use(channels());
server.use(stats({ channels: bus, otel: true }));
await server.start();
for (let i = 0; i < 7; i++) await bus.publish("a", i);
