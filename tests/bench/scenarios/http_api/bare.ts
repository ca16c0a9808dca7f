/** The reference: a route that parses the same JSON and answers the same. */

import { Hono } from "@hono/hono";
import { announce } from "../../contenders/announce.ts";

const app = new Hono();
let offset = 0;
app.post("/api/publish", async (c) => {
  const { channel } = await c.req.json();
  return c.json({ result: { offset: ++offset, epoch: channel } });
});
Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: ({ port }) => announce(port) }, app.fetch);
