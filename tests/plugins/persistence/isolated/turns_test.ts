/** Who comes next when more queries wait than can run. */

import assert from "node:assert/strict";
import { PlugboardError } from "../../../../core/mod.ts";
import { turns } from "../../../../plugins/persistence/isolated/turns.ts";

function waiting(places: number, max: number) {
  const queue = turns(places, max);
  const log: string[] = [];
  return {
    ...queue,
    log,
    enter(name: string, patient = false) {
      const turn = queue.enter(name[0]!, patient);
      turn.entered.then(() => log.push(name), (error) => log.push(`${name} ${error.code}`));
      return turn;
    },
    async leave(times: number) {
      for (let i = 0; i < times; i++) queue.leave();
      await Promise.resolve();
      await Promise.resolve();
    },
  };
}

Deno.test("a user with one query does not wait for all queries of another", async () => {
  const queue = waiting(1, 100);
  for (const name of ["a1", "a2", "a3", "a4", "b1", "c1", "b2"]) queue.enter(name);
  await queue.leave(7);
  assert.deepEqual(queue.log, ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
});

Deno.test("when too many wait, the user with the most is refused; patient queries are not", async () => {
  const queue = waiting(1, 3);
  for (const name of ["a1", "a2", "a3", "a4"]) queue.enter(name);
  for (let i = 0; i < 50; i++) queue.enter(`p${i}`, true);
  queue.enter("b1");
  queue.enter("b2");
  await queue.leave(56);
  assert.deepEqual(queue.log.filter((name) => name.includes("overloaded")), [
    "a4 overloaded",
    "a3 overloaded",
  ]);
  assert.equal(queue.log.length, 56);
});

Deno.test("who gives up frees its turn, and the end rejects all", async () => {
  const queue = waiting(1, 100);
  queue.enter("a1");
  const second = queue.enter("a2");
  queue.enter("a3");
  second.withdraw(new PlugboardError("timeout", "late"));
  await queue.leave(1);
  queue.enter("b1");
  second.withdraw(new PlugboardError("timeout", "again"));
  queue.end(new PlugboardError("stopped", "the end"));
  await queue.leave(1);
  assert.deepEqual(queue.log, ["a1", "a2 timeout", "a3", "b1 stopped"]);
});
