/** The end of subscriptions to a live query, by its parameters. */

import assert from "node:assert/strict";
import { z } from "zod";
import { follow, serveQueries } from "./kit.ts";

const SQL = "SELECT id, customer FROM orders WHERE total = :room AND status = :status ORDER BY id";

Deno.test("a user's subscriptions to a query end, however their channels are written", async () => {
  await using server = await serveQueries();
  server.queries.define("messages", { sql: SQL, params: { room: "integer", status: "string" } });
  server.queries.define("messagesOf", {
    sql: SQL,
    params: z.object({ room: z.coerce.number(), status: z.string() }),
  });
  for (const name of ["messages", "messagesOf"]) {
    const names = [
      "room=1&status=new",
      "status=new&room=1",
      "room=01&status=new",
      "room=1.0&status=n%65w",
      "room=%20+1&status=new",
    ].map((params) => `live:${name}?${params}`);
    await using bob = await server.connect("/t");
    await using ada = await server.connect("/t");
    for (const channel of [...names, `live:${name}?room=2&status=new`]) await follow(bob, channel);
    await follow(ada, names[2]!);
    const [mallory] = [...server.bus.clients.values()].filter(({ subscriptions }) => subscriptions.size > 1);
    const left = () => [...mallory!.subscriptions.keys()];
    assert.equal(await server.queries.end({ client: mallory!.id }, name, { room: 1, status: "new" }), 5);
    assert.deepEqual(left(), [`live:${name}?room=2&status=new`]);
    const others = [...server.bus.clients.values()].filter((each) => each !== mallory);
    assert.deepEqual(others.flatMap(({ subscriptions }) => [...subscriptions.keys()]), [names[2]!]);
    assert.equal(await server.queries.end({ client: mallory!.id }, name, { room: 3, status: "new" }), 0);
  }
});

Deno.test("the end of an unknown query, or with wrong parameters, is refused with the reason", async () => {
  await using server = await serveQueries();
  server.queries.define("messages", { sql: SQL, params: { room: "integer", status: "string" } });
  const end = (name: string, params: Record<string, string>) =>
    server.queries.end({ user: "bob" }, name, params);
  await assert.rejects(end("messages", { room: "x", status: "new" }), {
    message: /"room" must be an integer/,
  });
  await assert.rejects(end("messages", {}), { message: /"room" is missing/ });
  await assert.rejects(end("nothing", {}));
});

Deno.test("the end is refused while a node that may have subscriptions does not answer", async () => {
  await using server = await serveQueries({ all: { sql: "SELECT id FROM orders" } });
  const stats = server.bus.stats;
  server.bus.stats = async (channel) => ({ ...await stats(channel), silent: ["node-2"] });
  await assert.rejects(server.queries.end({ user: "bob" }, "all"), {
    code: "unavailable",
    message: "No answer from node-2",
  });
});
