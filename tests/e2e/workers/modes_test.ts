/** Tests of the kernel and of the protocols, once more with workers: the kit starts them for all its servers. */

import assert from "node:assert/strict";
import { deno } from "../../kit/example.ts";

const FILES = [
  "tests/core/closing_test.ts",
  "tests/core/containment_test.ts",
  "tests/core/drain_test.ts",
  "tests/core/refusals_test.ts",
  "tests/core/slow_reader_test.ts",
  "tests/core/turns_test.ts",
  "tests/core/upgrade_test.ts",
  "tests/e2e/kernel/drain_test.ts",
  "tests/e2e/kernel/order_test.ts",
  "tests/e2e/kernel/mounting_test.ts",
  "tests/e2e/kernel/slow_reader_test.ts",
  "tests/e2e/centrifuge/delta_test.ts",
  "tests/e2e/centrifuge/fan_out_test.ts",
  "tests/e2e/centrifuge/recovery_test.ts",
  "tests/e2e/centrifuge/sdk_test.ts",
  "tests/e2e/centrifuge/slow_test.ts",
  "tests/plugins/json_test.ts",
];

Deno.test("B20 the kernel's and the official SDK's tests, those of recovery among them, pass with workers", async () => {
  const args = [
    "test",
    "--allow-all",
    "--lock=tests/deno.lock",
    "--no-check",
    "--parallel",
    "--reporter=dot",
    ...FILES,
  ];
  const { success, stdout, stderr } = await deno(args, { env: { PLUGBOARD_TEST_WORKERS: "2" } }).output();
  const text = new TextDecoder().decode(stdout);
  assert.ok(success, text + new TextDecoder().decode(stderr));
  assert.ok(Number(text.match(/ok \| (\d+) passed/)?.[1]) > 100, text);
});
