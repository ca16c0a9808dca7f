/** Clients of both encodings in one channel receive the same, whatever happens to their connections. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { centrifugeServer, sdkClient, type Way } from "../../kit/centrifuge.ts";
import { turn, until } from "../../kit/mod.ts";
import { wireTo } from "./proxy.ts";

/** What a subscriber receives: data, offset and tags of each publication, and whether each recovery was complete. */
interface Seen {
  readonly publications: unknown[];
  readonly recoveries: boolean[];
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("publish" as const),
        payloads: fc.array(fc.jsonValue(), { minLength: 1, maxLength: 20 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("cut" as const), reader: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const) }) },
  ),
  { minLength: 5, maxLength: 20 },
);

const readers: readonly Way[] = ["websocket", "websocket in Protobuf", "http_stream in Protobuf", "sse"];

Deno.test("B17 JSON and Protobuf subscribers see the same publications in the same order, through cuts and recoveries", async () => {
  await using server = await centrifugeServer({
    channels: { defaults: { historySize: 10_000, recoveryLimit: 10_000 } },
  });
  let round = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const channel = `round${++round}`;
      await using scope = new AsyncDisposableStack();
      const wires = readers.map(() => scope.use(wireTo(server.url)));
      const seen = await Promise.all(readers.map(async (way, i): Promise<Seen> => {
        const { sdk } = scope.use(sdkClient(wires[i]!.url, way));
        const subscription = sdk.newSubscription(channel, { minResubscribeDelay: 1 });
        const got: Seen = { publications: [], recoveries: [] };
        subscription.on("publication", ({ data, offset, tags }) => {
          got.publications.push({ data, offset, tags: { ...tags } });
        });
        subscription.on("subscribed", ({ wasRecovering, recovered }) => {
          if (wasRecovering) got.recoveries.push(recovered);
        });
        subscription.subscribe();
        sdk.connect();
        await subscription.ready();
        return got;
      }));
      const expected: unknown[] = [];
      for (const step of all) {
        if (step.do === "cut") wires[step.reader]!.cut();
        else if (step.do === "wait") await turn();
        else {
          for (const data of step.payloads) {
            const offset = expected.length + 1;
            const tags = { n: String(offset) };
            expected.push({ data: JSON.parse(JSON.stringify(data)), offset, tags });
            void server.bus.publish(channel, data, { tags });
          }
        }
      }
      await until(
        "all publications",
        () => seen.every(({ publications }) => publications.length >= expected.length),
      );
      for (const { publications, recoveries } of seen) {
        assert.deepEqual(publications, expected);
        assert.ok(recoveries.every((recovered) => recovered));
      }
    }),
    { numRuns: 12 },
  );
  assert.equal(server.test.log.size, 0);
});
