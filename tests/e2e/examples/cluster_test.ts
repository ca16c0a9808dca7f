import assert from "node:assert/strict";
import { runExample } from "../../kit/example.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";

testWith(
  "redis",
  "B12 the example starts three nodes, and shows a message crossing and a recovery",
  async () => {
    await using example = await runExample("examples/cluster.ts");
    await until("its last line", () => {
      assert.doesNotMatch(example.printed(), /error/i);
      return example.printed().includes("the second node is gone");
    }, 60_000);
    assert.deepEqual(example.printed().trimEnd().split("\n").slice(-3), [
      'The second node received: "hello from the third node"',
      'Recovered on the first node: "hello from the third node"',
      'Recovered on the first node: "the second node is gone"',
    ]);
    assert.equal(await example.stop(), 0);
  },
);
