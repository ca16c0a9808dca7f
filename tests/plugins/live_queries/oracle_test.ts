/**
 * The main test of live queries: after any writes, a subscriber's rows equal a fresh run of the query, and at all times
 * they equal the result of a committed state. Schemas, queries, writes, schema changes and subscriptions are random.
 *
 * ORACLE_RUNS=100000 runs more cases. ORACLE_SEED and ORACLE_PATH repeat a failed one; the failure prints them.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { PlugboardError } from "../../../core/mod.ts";
import { turn } from "../../kit/mod.ts";
import { randomQuery } from "./random_queries.ts";
import { Dice, randomDefinition, randomSchema, randomWrite, Undo } from "./random_schema.ts";
import { type Follower, makeWorld } from "./world.ts";

/** The kinds of steps and how often each is picked. */
const WEIGHTS = {
  ...{ write: 7, query: 2, unsubscribe: 2, subscribe: 3, define: 1 },
  ...{ turn: 1, burst: 1, linger: 1, settle: 1, check: 2 },
};

const step = fc.record({
  type: fc.constantFrom(...Object.entries(WEIGHTS).flatMap(([type, n]) => Array<string>(n).fill(type))),
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
    await world.rest(() => followers.every((each) => !each.subscribed || each.rowsText() === each.fresh()));
    for (const each of followers) {
      const what = `${each.what} in\n${schema.sql}`;
      assert.deepEqual(each.uncommitted(), [], `a state that was not committed: ${what}`);
      if (each.ended) assert.ok(broken, `ended without a reason: ${what}`);
      if (each.subscribed) assert.equal(each.rowsText(), each.fresh(), what);
    }
    broken = false;
  }

  async function subscribe(follower: Follower): Promise<void> {
    const refused = await follower.subscribe();
    if (refused !== undefined) throw new Error(`${refused}: ${follower.what} in\n${schema.sql}`);
  }

  async function define(dice: Dice): Promise<void> {
    const { scripts, breaks } = randomDefinition(schema, dice);
    broken ||= breaks;
    for (const script of scripts) await store.exec(script).catch(ignoreExpected);
    if (!breaks) return;
    await check();
    broken = true;
    for (const each of followers) if (each.ended) await subscribe(each);
  }

  const perform: Record<string, (dice: Dice) => unknown> = {
    write: (dice) => void writes.push(store.write(randomWrite(schema, dice)).catch(ignoreExpected)),
    async query(dice) {
      const query = randomQuery(schema, dice);
      const begin = dice.pick([world.client, world.client, world.serverSql, world.watcher]);
      const follower = await begin(query, dice.pick(query.choices));
      followers.push(follower);
      await subscribe(follower);
    },
    unsubscribe: (dice) => followers.length > 0 && dice.pick(followers).unsubscribe(),
    async subscribe(dice) {
      const away = followers.filter(({ subscribed }) => !subscribed);
      if (away.length > 0) await subscribe(dice.pick(away));
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
  for (const each of followers) if (!each.subscribed) await subscribe(each);
  await check();
  assert.deepEqual(world.log.take().filter(({ level }) => level === "error"), []);
}

/** Ignores the errors that random writes can cause. */
function ignoreExpected(error: unknown): void {
  const expected = error instanceof Undo ||
    error instanceof PlugboardError && ["constraint", "bad_sql", "transaction_lost"].includes(error.code);
  if (!expected) throw error;
}

const [runs, seed, path] = ["ORACLE_RUNS", "ORACLE_SEED", "ORACLE_PATH"].map((name) => Deno.env.get(name));

Deno.test("S05 B07 in any schema and after any writes, a subscriber's rows equal a fresh run and are committed", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(step, { maxLength: 60, size: "max" }), follow),
    {
      numRuns: Number(runs ?? 2_000),
      ...(seed !== undefined && { seed: Number(seed) }),
      ...(path !== undefined && { path }),
    },
  );
});
