/** This server: a relay at /relay, and stores at /sync. The argument is the folder of the database. */

import { Server } from "../../../../core/mod.ts";
import { paths } from "../../../../plugins/paths.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { sqlitePersister, tinybase } from "../../../../plugins/protocols/tinybase.ts";
import { announce } from "../../contenders/announce.ts";

const [folder] = Deno.args;
const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
server.use(tinybase({ paths: server.use(paths({ maxConnectionsPerPath: 10_000 })), path: "/relay" }));
const store = server.use(persistence({ path: folder === undefined ? ":memory:" : `${folder}/plugboard.db` }));
const stored = server.use(paths({ maxConnectionsPerPath: 10_000 }));
server.use(tinybase({ paths: stored, path: "/sync", createPersisterForPath: sqlitePersister(store) }));
await server.start();
announce(server.address.port);
