/**
 * Durable and memory channels over the centrifuge protocol. The argument is the folder of the database. `GET /busy/kept`
 * lets 100 publishers of this process publish to durable channels, `GET /busy/free` to memory channels.
 */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { presence } from "../../../../plugins/presence.ts";
import { centrifuge } from "../../../../plugins/protocols/centrifuge.ts";
import { sqliteBroker } from "../../../../plugins/sqlite_broker.ts";
import { announce } from "../../contenders/announce.ts";

const PUBLISHERS = 100;
/** The pause of each publisher, for 2,000 publications per second. */
const PAUSE_MS = 50;

const folder = Deno.args[0]!;
let busy: string | undefined;
const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
const store = server.use(persistence({ path: `${folder}/plugboard.db` }));
const kept = { broker: sqliteBroker({ store }), historySize: 1_000, historyMs: 86_400_000 };
const bus = server.use(channels({ namespaces: { kept } }));
server.use(centrifuge({ channels: bus, presence: server.use(presence({ channels: bus })) }));
server.use({
  name: "busy",
  routes: (app) =>
    void app.get("/busy/:namespace", (c) => {
      const others = busy === undefined ? PUBLISHERS : 0;
      busy = c.req.param("namespace");
      for (let i = 0; i < others; i++) void publish(i);
      return c.text(busy);
    }),
});
await server.start();
announce(server.address.port);

async function publish(publisher: number): Promise<never> {
  for (let n = 0;; n++) {
    await bus.publish(`${busy}:busy ${publisher}`, `publication ${n} of ${publisher}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (0.5 + Math.random())));
  }
}
