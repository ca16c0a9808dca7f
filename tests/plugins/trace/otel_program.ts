/** A server with spans for an upgrade, a call, a publication by a client and one by a request. */

import { Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { rpc } from "../../../plugins/rpc.ts";
import { anonymousIdentity } from "../../../plugins/shared/identity.ts";
import { trace } from "../../../plugins/trace.ts";
import { Client } from "../../kit/mod.ts";

const traceparent = (id: string) => ({ traceparent: `00-${id.repeat(32)}-${id.repeat(16)}-01` });

const server = new Server({ port: 0 });
const bus = channels();
const { traced } = server.use(trace({ otel: true, channels: bus.api }));
server.use(bus);
const methods = traced("rpc", server.use(rpc()));
methods.define("double", { args: Number, run: (n) => n * 2 });
methods.define("fail", {
  run() {
    throw new Error("oops");
  },
});

server.use({
  name: "test",
  endpoints: [{
    name: "test",
    path: "/t",
    upgrade: ({ url }) => url.endsWith("?no") ? new Response("no", { status: 403 }) : undefined,
    open: (conn) => ({
      async message(text) {
        const caller = { identity: anonymousIdentity, conn };
        await methods.call("double", text, caller);
        await methods.call("fail", text, caller).catch(() => {});
        await bus.api.publish("by-client", text);
        conn.send("done");
      },
    }),
  }],
  routes(app) {
    app.post("/publish", async (c) => {
      await bus.api.publish("by-request", 1);
      return c.body(null, 204);
    });
  },
});

await server.start();
const { url } = server.address;
const client = await Client.connect(`${url}/t`, [], traceparent("a"));
client.send("21");
await client.next();
await client.close();
await (await fetch(`${url}/publish`, { method: "POST", headers: traceparent("b") })).text();
await Client.connect(`${url}/t?no`, [], traceparent("c")).catch(() => {});
await server.stop();
