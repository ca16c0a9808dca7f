/** What a session leaves behind. */

import assert from "node:assert/strict";
import type { Connection, Host } from "../../../core/mod.ts";
import { CentrifugeSession, type Shared } from "../../../plugins/protocols/centrifuge/session.ts";
import { FakeClock } from "../../kit/mod.ts";

Deno.test("a session that has ended is known to nobody", () => {
  const clock = new FakeClock();
  const shared: Shared = {
    channels: { connect: () => assert.fail("nobody signs in here") },
    presence: undefined,
    rpc: undefined,
    access: undefined,
    onMessage: undefined,
    personalChannels: false,
    maxHistory: 1,
    pingSeconds: 25,
    node: "node",
    streams: new Map(),
    incoming: new WeakMap(),
    strangers: new Map(),
    clock: () => clock,
    host: () => ({}) as Host,
  };
  const session = new CentrifugeSession(shared, {} as Connection, true);
  assert.deepEqual([shared.streams.size, shared.strangers.size], [1, 1]);
  session.close();
  assert.deepEqual([shared.streams.size, shared.strangers.size], [0, 0]);
});
