/** A user who loses a right: what it may still receive. */

import assert from "node:assert/strict";
import { auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { liveQueries } from "../../../plugins/live_queries.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { presence as people } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { sdkClient } from "../../kit/centrifuge.ts";
import { serve, until } from "../../kit/mod.ts";

Deno.test("a removed member loses channels, live queries and presence as soon as its rights are refreshed", async () => {
  const members = new Set(["ann", "bob"]);
  const store = persistence({ path: ":memory:" });
  const access = auth({
    signIn: ({ token: user }) => user === undefined ? undefined : { user },
    rule: ({ identity, resource }) => resource === "room" ? members.has(identity.user) : undefined,
    subscribeRule: async ({ user }, channel) => {
      await Promise.resolve();
      return channel !== "later" || members.has(user);
    },
  });
  const bus = channels({ access: access.api });
  const present = people({ channels: bus.api });
  const queries = liveQueries({ store: store.api, channels: bus.api });
  const parts = { channels: bus.api, access: access.api, presence: present.api };
  await using server = await serve({}, store, access, bus, present, queries, centrifuge(parts));
  await store.api.exec("CREATE TABLE messages (text TEXT)");
  queries.api.define("messages", {
    sql: "SELECT text FROM messages",
    allow: ({ user }) => members.has(user),
  });

  const names = ["room", "later", "live:messages", "other"];
  async function follow(user: string) {
    const client = sdkClient(server.url, "websocket", { token: user });
    const subscriptions = names.map((name) => client.sdk.newSubscription(name));
    const codes: number[] = [];
    for (const subscription of subscriptions) {
      subscription.on("unsubscribed", ({ code }) => void codes.push(code));
      subscription.subscribe();
    }
    client.sdk.connect();
    await until("all", () => subscriptions.every(({ state }) => state === "subscribed"));
    return { client, subscriptions, codes };
  }
  const ann = await follow("ann");
  await using _ann = ann.client;
  const bob = await follow("bob");
  await using _bob = bob.client;
  members.delete("bob");
  assert.equal(await bus.api.refresh({ user: "bob" }), 1);
  await until("the end of three", () => bob.codes.length === 3);
  const states = ({ subscriptions }: typeof ann) => subscriptions.map(({ state }) => state);
  assert.deepEqual(states(bob), ["unsubscribed", "unsubscribed", "unsubscribed", "subscribed"]);
  assert.deepEqual(bob.codes, [2000, 2000, 2000]);
  assert.equal(await bus.api.refresh({ user: "ann" }), 1);
  await store.api.exec("INSERT INTO messages VALUES ('after')");
  assert.deepEqual(states(ann), names.map(() => "subscribed"), "who has kept the right keeps everything");
});
