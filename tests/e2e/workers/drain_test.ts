/** A stop with workers: clients are told one after the other, and get everything that was sent to them before. */

import assert from "node:assert/strict";
import type { Connection, Plugin } from "../../../core/mod.ts";
import { workers } from "../../../plugins/workers.ts";
import { serve, until } from "../../kit/mod.ts";

const CLIENTS = 100;

Deno.test("a stop answers pending messages, sends everything, spreads the closes, and leaves no worker", async () => {
  const readers = new Set<Connection>();
  const closedAt: number[] = [];
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const feed: Plugin = {
    name: "feed",
    drain() {
      for (const conn of readers) conn.send("farewell");
    },
    endpoints: [{
      name: "feed",
      path: "/feed",
      open(conn) {
        readers.add(conn);
        return {
          async message(text) {
            begun.resolve();
            await release.promise;
            conn.send(`answer to ${text}`);
          },
          close() {
            readers.delete(conn);
            closedAt.push(performance.now());
          },
        };
      },
    }],
  };
  const cores = workers({ count: 2 });
  const server = await serve({ drainMs: 30_000 }, cores, feed);
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => server.connect("/feed")));
  await until("all clients", () => readers.size === CLIENTS);
  clients[0]!.send("a question");
  await begun.promise;

  const stopping = server[Symbol.asyncDispose]();
  await until("the first close", () => closedAt.length > 0);
  await assert.rejects(server.connect("/feed"), /503/);
  release.resolve();
  await stopping;
  for (const client of clients) assert.equal((await client.closed).code, 3001);
  assert.equal(await clients[0]!.next(), "farewell");
  assert.equal(await clients[0]!.next(), "answer to a question");
  for (const client of clients.slice(1)) assert.equal(await client.next(), "farewell");
  assert.ok(Math.max(...closedAt) - Math.min(...closedAt) > 50, "all were closed at once");
  assert.deepEqual(cores.api.workers.map(({ connections }) => connections), [0, 0]);
  assert.deepEqual(server.log.take(), [], "no worker is replaced that was stopped");
  await assert.rejects(server.connect("/feed"));
});
