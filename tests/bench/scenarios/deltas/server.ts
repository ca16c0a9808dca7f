/** Publishes documents of 2 KB when a client calls `publish`. The caller's text comes back as a tag, which has no delta. */

import { Server } from "../../../../core/mod.ts";
import { channels, Payload } from "../../../../plugins/channels.ts";
import { centrifuge } from "../../../../plugins/protocols/centrifuge.ts";
import { rpc } from "../../../../plugins/rpc.ts";
import { announce } from "../../contenders/announce.ts";
import { document } from "./document.ts";

const server = new Server({ port: 0, maxConnections: 100_000, maxConnectionsPerIp: 100_000 });
const bus = server.use(channels({ defaults: { delta: "fossil", maxTagFilters: 10 } }));
const methods = server.use(rpc());
let n = 0;
methods.define("publish", {
  args: (value) => value as string,
  async run(stamp) {
    await bus.publish("room", Payload.of(document(n++)), { tags: { stamp, kind: "document" } });
  },
});
server.use(centrifuge({ channels: bus, rpc: methods }));
await server.start();
announce(server.address.port);
