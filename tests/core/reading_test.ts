import assert from "node:assert/strict";
import { afterReading } from "../../core/mod.ts";
import { roundTrips } from "../kit/mod.ts";

function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

Deno.test("sockets are read between slices, even if other work follows each of them", async () => {
  await using trips = await roundTrips();
  const before = trips.count;
  for (let slice = 0; slice < 60; slice++) {
    busy(5);
    // Work that is due before the timer: without a look at its delay, the runtime would not read.
    setImmediate(() => busy(5));
    await new Promise<void>((resolve) => void afterReading(resolve));
  }
  assert.ok(trips.count - before >= 45, `${trips.count - before} round trips between 60 slices`);
});

Deno.test("a call that was cancelled is not made, and a busy event loop does not prevent the others", async () => {
  afterReading(() => assert.fail("cancelled"))();
  let turning = true;
  const turn = () => void (turning && setImmediate(() => (busy(5), turn())));
  turn();
  await new Promise<void>((resolve) => void afterReading(resolve));
  turning = false;
});
