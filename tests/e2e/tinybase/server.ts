/** A server that stores TinyBase paths in a database: `server.ts <file>`. It prints its URL. */

import { Server } from "../../../core/mod.ts";
import { paths } from "../../../plugins/paths.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { sqlitePersister, tinybase } from "../../../plugins/protocols/tinybase.ts";

const server = new Server({ port: 0, maxQueuedBytes: 33_554_432 });
const store = server.use(persistence({ path: Deno.args[0]! }));
server.use(tinybase({ paths: server.use(paths()), createPersisterForPath: sqlitePersister(store) }));
await server.start();
// deno-lint-ignore no-console -- the test reads the URL
console.log(server.address.url);
