/** A server with durable channels, for a test that kills it; prints its port. */

import { Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";

const server = new Server({ port: 0 });
const store = server.use(persistence({ path: Deno.args[0]! }));
const defaults = { historySize: 1_000_000, historyMs: 86_400_000, recoveryLimit: 1_000_000 };
const bus = server.use(channels({ broker: sqliteBroker({ store }), defaults }));
server.use(channelProtocol(bus));
await server.start();
Deno.stdout.writeSync(new TextEncoder().encode(`${server.address.port}\n`));
