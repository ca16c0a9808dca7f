/**
 * The rule that tests live queries: after any writes, what a subscriber holds equals a fresh run of the query, and all
 * the time it held what some committed state gave. Random schemas, queries, writes, definitions, comings and goings.
 *
 * More cases: ORACLE_RUNS=100000. A failing one again: ORACLE_SEED and ORACLE_PATH, as the failure prints them.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { PlugboardError } from "../../../core/mod.ts";
import { turn } from "../../kit/mod.ts";
import { randomQuery } from "./random_queries.ts";
import { Dice, randomDefinition, randomSchema, randomWrite, Undo } from "./random_schema.ts";
import { type Follower, makeWorld } from "./world.ts";

const step = fc.record({
  type: fc.constantFrom(
    ...["write", "write", "write", "write", "write", "write", "write", "query", "query", "leave", "leave"],
    ...["come", "come", "come", "turn", "burst", "linger", "settle", "check", "check", "define"],
  ),
  seed: fc.nat(),
}, { noNullPrototype: true });

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function follow(schemaSeed: number, steps: readonly Step[]): Promise<void> {
  const schema = randomSchema(new Dice(schemaSeed));
  await using world = await makeWorld(schema.sql);
  const { store, queries } = world;
  const followers: Follower[] = [];
  const writes: Promise<unknown>[] = [];
  let broken = false;
  using _watch = store.watch(() => followers.forEach((each) => each.committed()), "all");

  async function check(): Promise<void> {
    await Promise.all(writes.splice(0));
    await world.rest(() => followers.every((each) => !each.here || each.held() === each.fresh()));
    for (const each of followers) {
      const what = `${each.what} in\n${schema.sql}`;
      assert.deepEqual(each.uncommitted(), [], `a state that was never committed: ${what}`);
      if (each.ended) assert.ok(broken, `ended without need: ${what}`);
      if (each.here) assert.equal(each.held(), each.fresh(), what);
    }
    broken = false;
  }

  async function come(follower: Follower): Promise<void> {
    const refused = await follower.come();
    if (refused !== undefined) throw new Error(`${refused}: ${follower.what} in\n${schema.sql}`);
  }

  async function define(dice: Dice): Promise<void> {
    const { scripts, breaks } = randomDefinition(schema, dice);
    broken ||= breaks;
    for (const script of scripts) await store.exec(script).catch(tolerated);
    if (!breaks) return;
    await check();
    broken = true;
    for (const each of followers) if (each.ended) await come(each);
  }

  const perform: Record<string, (dice: Dice) => unknown> = {
    write: (dice) => void writes.push(store.write(randomWrite(schema, dice)).catch(tolerated)),
    async query(dice) {
      const query = randomQuery(schema, dice);
      const begin = dice.pick([world.client, world.client, world.free, world.watcher]);
      const follower = await begin(query, dice.pick(query.choices));
      followers.push(follower);
      await come(follower);
    },
    leave: (dice) => followers.length > 0 && dice.pick(followers).leave(),
    async come(dice) {
      const away = followers.filter(({ here }) => !here);
      if (away.length > 0) await come(dice.pick(away));
    },
    turn: () => turn(),
    burst: () => world.clock.advance(5),
    linger: () => world.clock.advance(60),
    settle: () => queries.settle(),
    check: () => check(),
    define,
  };

  for (let i = 0; i < 4; i++) await perform.query!(new Dice(schemaSeed + i));
  for (const { type, seed } of steps) await perform[type]!(new Dice(seed));
  await check();
  for (const each of followers) if (!each.here) await come(each);
  await check();
  assert.deepEqual(world.log.take().filter(({ level }) => level === "error"), []);
}

/** What a random write may run into. */
function tolerated(error: unknown): void {
  const expected = error instanceof Undo ||
    error instanceof PlugboardError && ["constraint", "bad_sql", "transaction_lost"].includes(error.code);
  if (!expected) throw error;
}

const [runs, seed, path] = ["ORACLE_RUNS", "ORACLE_SEED", "ORACLE_PATH"].map((name) => Deno.env.get(name));

Deno.test("S05 B07 in any schema and after any writes, what a subscriber holds equals a fresh run, and was committed", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(step, { maxLength: 60, size: "max" }), follow),
    {
      numRuns: Number(runs ?? 2_000),
      ...(seed !== undefined && { seed: Number(seed) }),
      ...(path !== undefined && { path }),
    },
  );
});
