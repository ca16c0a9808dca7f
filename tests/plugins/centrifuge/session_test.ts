/** The state that sessions share. */

import assert from "node:assert/strict";
import type { Connection, Host } from "../../../core/mod.ts";
import { jsonCodec } from "../../../plugins/protocols/centrifuge/json_codec.ts";
import { CentrifugeSession, type Shared } from "../../../plugins/protocols/centrifuge/session.ts";
import { FakeClock } from "../../kit/mod.ts";

Deno.test("a session that has ended is removed from the shared state", () => {
  const clock = new FakeClock();
  const shared: Shared = {
    channels: { connect: () => assert.fail("no client signs in") },
    presence: undefined,
    rpc: undefined,
    access: undefined,
    onMessage: undefined,
    personalChannels: false,
    maxHistory: 1,
    node: "node",
    streams: new Map(),
    unauthenticated: new Map(),
    clock: () => clock,
    host: () => ({}) as Host,
  };
  const session = new CentrifugeSession(shared, {} as Connection, jsonCodec, { emulated: true });
  assert.deepEqual([shared.streams.size, shared.unauthenticated.size], [1, 1]);
  session.close();
  assert.deepEqual([shared.streams.size, shared.unauthenticated.size], [0, 0]);
});
