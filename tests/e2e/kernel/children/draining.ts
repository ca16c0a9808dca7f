/** A server with slow handlers, in its own process, to be stopped by signals. Prints its port, then when it closed its clients. */

import { run, Server } from "../../../../core/mod.ts";
import { health } from "../../../../plugins/health.ts";

const print = (line: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
const closedAt: number[] = [];
/** Pending messages are handled when the test says so. */
const told = Deno.stdin.read(new Uint8Array(1));

const server = new Server({ port: 0, drainMs: Number(Deno.args[0]) });
server.use(health());
server.use({
  name: "slow",
  stop: () => print(JSON.stringify(closedAt)),
  endpoints: [{
    name: "slow",
    path: "/slow",
    open: (conn) => ({
      async message(text) {
        conn.send(`begun ${text}`);
        await told;
        conn.send(`done ${text}`);
      },
      close: () => void closedAt.push(performance.now()),
    }),
  }],
});
await run(server);
print(String(server.address.port));
