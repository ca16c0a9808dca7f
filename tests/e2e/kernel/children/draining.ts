/** A server with slow handlers, in its own process, to be stopped by signals. */

import { run, Server } from "../../../../core/mod.ts";
import { health } from "../../../../plugins/health.ts";

const server = new Server({ port: 0, drainMs: 1_500 });
server.use(health());
server.use({
  name: "slow",
  endpoints: [{
    name: "slow",
    path: "/slow",
    open: (conn) => ({
      async message(text) {
        conn.send(`begun ${text}`);
        await new Promise((resolve) => setTimeout(resolve, Number(text)));
        conn.send(`done ${text}`);
      },
    }),
  }],
});
await run(server);
Deno.stdout.writeSync(new TextEncoder().encode(`${server.address.port}\n`));
