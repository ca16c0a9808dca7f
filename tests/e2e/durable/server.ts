/** A server with durable channels, for a test that kills it; prints its port. */

import { Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { logEndsOf } from "../../../plugins/sqlite_broker/log_ends.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";

const server = new Server({ port: 0 });
const store = server.use(persistence({ path: Deno.args[0]! }));
// Publications are always being moved from the tail, also when the server is killed.
logEndsOf(store, { rows: 50, every: 2, moved: 4, deleted: 8 });
const defaults = { historySize: 1_000_000, historyMs: 86_400_000, recoveryLimit: 1_000_000 };
const bus = server.use(channels({ broker: sqliteBroker({ store }), defaults }));
server.use(channelProtocol(bus));
await server.start();
Deno.stdout.writeSync(new TextEncoder().encode(`${server.address.port}\n`));
