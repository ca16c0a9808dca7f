import assert from "node:assert/strict";

Deno.test("five rounds of five thousand connects and disconnects leak no memory and no connection", async () => {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--v8-flags=--expose-gc",
      new URL("children/churning.ts", import.meta.url).pathname,
    ],
    stderr: "inherit",
  }).output();
  assert.ok(success);
  const { heaps, left } = JSON.parse(new TextDecoder().decode(stdout));
  assert.deepEqual(left, [0, 0, 0, 0, 0]);
  assert.ok(
    heaps[4] < heaps[0] * 1.5,
    `the heap grew: ${heaps.map((bytes: number) => (bytes / 1e6).toFixed(1))} MB`,
  );
});
