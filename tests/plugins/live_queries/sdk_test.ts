/** Live queries and mutations with an official SDK: rows, diffs, automatic recovery, replies after diffs. */

import assert from "node:assert/strict";
import type { PublicationContext, SubscribedContext, Subscription } from "centrifuge";
import { closeCode } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { liveQueries, liveRows, sqlChannel } from "../../../plugins/live_queries.ts";
import { mutations } from "../../../plugins/mutations.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { rpc } from "../../../plugins/rpc.ts";
import { sdkClient } from "../../kit/centrifuge.ts";
import { serve, until } from "../../kit/mod.ts";
import { folder } from "../persistence/kit.ts";

async function serveSdk(files: { file(name: string): string }) {
  const store = persistence({ path: files.file("a.db") });
  const bus = channels();
  const methods = rpc();
  const queries = liveQueries({ store: store.api, channels: bus.api, clientSql: store.api.isolated() });
  const changes = mutations({ store: store.api, rpc: methods.api, queries: queries.api });
  const protocol = centrifuge({ channels: bus.api, rpc: methods.api });
  const server = await serve({}, store, bus, methods, queries, changes, protocol);
  await store.api.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT)");
  queries.api.define("byStatus", {
    sql: "SELECT id, status FROM orders WHERE status = :status ORDER BY id",
    params: { status: "string" },
  });
  changes.api.define("add", { run: (tx) => tx.run("INSERT INTO orders (status) VALUES ('new')").lastId });
  return Object.assign(server, { store: store.api, bus: bus.api });
}

/** Follows a channel as in the README, and counts the snapshots. */
function follow(subscription: Subscription) {
  const orders = liveRows();
  const followed = { rows: orders.rows, snapshots: 0 };
  subscription.on("subscribed", ({ data }: SubscribedContext) => {
    if (data === undefined) return;
    followed.snapshots++;
    followed.rows = orders.apply(data);
  });
  subscription.on("publication", ({ data }: PublicationContext) => {
    followed.rows = orders.apply(data);
  });
  subscription.subscribe();
  return followed;
}

Deno.test("S04 B07 B08 an SDK follows queries and SQL, recovers automatically, and gets diffs before the reply", async () => {
  using files = folder();
  await using server = await serveSdk(files);
  await using client = sdkClient(server.url);
  const all = [
    "live:byStatus?status=new",
    sqlChannel("SELECT id, status FROM orders WHERE status = ? ORDER BY id", ["new"]),
  ].map((channel) => follow(client.sdk.newSubscription(channel)));
  client.sdk.connect();
  await until("all subscriptions", () => all.every(({ snapshots }) => snapshots === 1));
  for (let id = 1; id <= 3; id++) {
    const { data } = await client.sdk.rpc("add", {});
    assert.equal(data, id);
    for (const { rows } of all) assert.deepEqual(rows.at(-1), { id, status: "new" }, "before the reply");
  }
  for (const conn of server.server.connections) conn.close(closeCode(3001, "shutdown"));
  await server.store.exec(
    "UPDATE orders SET status = 'old' WHERE id = 2; INSERT INTO orders VALUES (9, 'new')",
  );
  await until("the missed rows", () => all.every(({ rows }) => rows.length === 3 && rows[2]!.id === 9));
  assert.deepEqual(all.map(({ snapshots }) => snapshots), [1, 1], "recovered");
  await server.store.exec("ALTER TABLE orders ADD COLUMN note");
  await until("a second subscription to the SQL", () => all[1]!.snapshots === 2);
  await client.sdk.rpc("add", {});
  assert.deepEqual(all.map(({ rows }) => rows.length), [4, 4]);
});
