/** What a subscription reads needs the right to read it. */

import assert from "node:assert/strict";
import type { NamespaceOptions } from "../../../plugins/channels.ts";
import { everywhere } from "../../kit/remote.ts";
import { ask, serveChannels } from "./kit.ts";

/** Subscribes and asks for everything; returns what is granted. */
async function granted(
  where: Parameters<typeof serveChannels>[0],
  defaults: NamespaceOptions,
  request: object = {},
): Promise<string[]> {
  await using server = await serveChannels(where, { defaults });
  const { epoch } = await server.bus.publish("a", 1);
  await using client = await server.connect("/t?user=ann");
  const recover = { offset: 0, epoch };
  const reply = await ask(client, { do: "subscribe", channel: "a", joinLeave: true, recover, ...request });
  assert.equal(reply.wasRecovering, true);
  assert.equal(reply.recovered, reply.recoverable);
  assert.deepEqual(
    reply.publications.map((each: { json: string }) => each.json),
    reply.recovered ? ["1"] : [],
  );
  await server.bus.publish("a", 2);
  const next = await client.nextJson();
  return [
    ...["recoverable", "positioned"].filter((each) => reply[each] === true),
    ...next.join === "a" ? ["joins"] : [],
  ];
}

const all = ["recoverable", "positioned", "joins"];

everywhere(
  "a client that may not read the history does not recover it, and does not detect gaps",
  async (where) => {
    const historyAccess = "nobody";
    assert.deepEqual(await granted(where, { historyAccess }), ["joins"]);
    assert.deepEqual(await granted(where, { historyAccess, recovery: "request" }, { recoverable: true }), [
      "joins",
    ]);
    assert.deepEqual(await granted(where, { historyAccess }, { positioned: true }), ["joins"]);
    assert.deepEqual(await granted(where, { historyAccess: "subscriber" }), all);
  },
);

everywhere("a client that may not list who is present does not get joins and leaves", async (where) => {
  const presenceAccess = "nobody";
  assert.deepEqual(await granted(where, { presenceAccess }), ["recoverable", "positioned"]);
  assert.deepEqual(await granted(where, { presenceAccess: "subscriber" }), all);
});

everywhere("a namespace or a grant can give all subscribers recovery, joins and leaves", async (where) => {
  const none = { historyAccess: "nobody", presenceAccess: "nobody" } as const;
  assert.deepEqual(await granted(where, { ...none, recovery: "always", joinLeave: "all" }), all);
  assert.deepEqual(await granted(where, none, { grant: { recoverable: true, joinLeave: true } }), all);
  assert.deepEqual(await granted(where, none, { grant: { positioned: true } }), ["positioned"]);
  assert.deepEqual(await granted(where, none, { serverSide: true, recoverable: true, positioned: true }), []);
});

everywhere("a client that asks to recover learns where nothing can be recovered", async (where) => {
  assert.deepEqual(await granted(where, { recovery: "off" }), ["joins"]);
  assert.deepEqual(await granted(where, { historySize: 0 }, { mustRecover: true }), ["joins"]);
});
