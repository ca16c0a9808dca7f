/**
 * A server with the dashboard that publishes to the channels `room:0` to `room:N` in turn, 500 times a second. Argument: N.
 * Prints its URL. `/held` answers how long the event loop was held at most, in milliseconds, since it was last asked.
 */

import { Holds } from "../../../kit/mod.ts";
import { dashboardServer } from "../../../plugins/dashboard/kit.ts";

const BATCH = 5;
const BATCH_MS = 10;

const rooms = Number(Deno.args[0]);
const holds = new Holds();
setInterval(() => holds.turn(), 1);
const server = await dashboardServer({
  routes: (app) => void app.get("/held", (c) => c.json(holds.take())),
});
let published = 0;
setInterval(() => {
  for (let i = 0; i < BATCH; i++) {
    const n = published++;
    void server.bus.publish(`room:${n % rooms}`, { n, text: "x".repeat(100) });
  }
}, BATCH_MS);
await Deno.stdout.write(new TextEncoder().encode(`${server.url}\n`));
