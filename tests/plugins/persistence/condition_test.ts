import assert from "node:assert/strict";
import { PlugboardError } from "../../../core/mod.ts";
import { condition } from "../../../plugins/persistence/condition.ts";
import { FakeClock, turn } from "../../kit/mod.ts";

/** A file whose checks and writes fail as the test says. */
function file() {
  const clock = new FakeClock();
  const disk = { damaged: true, writable: true, checks: 0 };
  const silent = () => {};
  const state = condition({
    clock,
    log: { error: silent, warn: silent } as never,
    probe: () => disk.writable ? Promise.resolve() : Promise.reject(new Error("EIO")),
    check() {
      disk.checks++;
      return disk.damaged ? Promise.reject(new Error("damage")) : Promise.resolve();
    },
    reasonFor: () => "",
  });
  async function pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000);
      await turn();
    }
  }
  return { state, disk, pass, failed: (code: string) => state.failed(new PlugboardError(code, code)) };
}

Deno.test("damage is reported until the whole file was read without a finding", async () => {
  const { state, disk, pass, failed } = file();
  failed("corrupt");
  failed("disk_error"); // a write that works says nothing about the damage
  await pass(60_000);
  assert.equal(state.problem, "corrupt");
  assert.ok(disk.checks > 3 && disk.checks < 8, `${disk.checks} checks`); // at growing intervals
  disk.damaged = false;
  disk.writable = false;
  await pass(120_000);
  assert.equal(state.problem, "disk_error");
  disk.writable = true;
  await pass(1_000);
  assert.equal(state.problem, undefined);
});

Deno.test("a large damaged file is read at most every ten minutes", async () => {
  const { disk, pass, failed } = file();
  failed("corrupt");
  await pass(3_600_000);
  const before = disk.checks;
  await pass(3_600_000);
  assert.ok(disk.checks - before <= 6, `${disk.checks - before} checks in an hour`);
});

Deno.test("other failures are reported until a write works, without reading the file", async () => {
  const { state, disk, pass, failed } = file();
  disk.writable = false;
  failed("disk_full");
  await pass(5_000);
  assert.equal(state.problem, "disk_full");
  disk.writable = true;
  await pass(1_000);
  assert.deepEqual([state.problem, disk.checks], [undefined, 0]);
});
