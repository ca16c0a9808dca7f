import assert from "node:assert/strict";
import { type Guarded, MemoryGuard } from "../../core/connections/memory_guard.ts";
import type { CloseCode } from "../../core/mod.ts";
import { logFor } from "../../core/contract/log.ts";
import { health } from "../../plugins/health.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { FakeClock, offline, serve, until } from "../kit/mod.ts";

/** A connection that the guard may close. */
class FakeConnection implements Guarded {
  openedAt = 0;
  quietPings = 0;
  heldBytes = 0;
  /** Whether it answers pings at once. */
  answers = false;
  readonly #world: World;

  constructor(world: World, state: Partial<FakeConnection>) {
    this.#world = world;
    Object.assign(this, state);
  }

  close(why: CloseCode): void {
    assert.equal(why.code, 3015);
    this.#world.connections.delete(this);
    this.#world.closed.push(this);
  }
}

/** A guard with a memory that the test sets, as part of the limit. */
class World {
  readonly clock = new FakeClock();
  readonly connections = new Set<FakeConnection>();
  closed: FakeConnection[] = [];
  /** How many of them were ended, too. */
  ended = 0;
  lines: string[] = [];
  part = 0.5;
  /** What garbage takes of it. */
  garbage = 0;
  pings = 0;
  collections = 0;
  readonly guard = new MemoryGuard({
    clock: this.clock,
    log: logFor("kernel", ({ level, message }) => void this.lines.push(`${level} ${message}`)),
    maxBytes: 1_000 * 1_048_576,
    connections: this.connections,
    pingAll: () => {
      this.pings++;
      for (const conn of this.connections) conn.quietPings = conn.answers ? 0 : conn.quietPings + 1;
    },
    endClosing: () => void (this.ended = this.closed.length),
    read: (maxBytes) => ({ bytes: this.part * maxBytes, part: this.part }),
    collectGarbage: () => {
      this.collections++;
      this.part -= this.garbage;
      this.garbage = 0;
    },
  });

  constructor() {
    this.guard.start();
  }

  add(state: Partial<FakeConnection>): FakeConnection {
    const conn = new FakeConnection(this, state);
    this.connections.add(conn);
    return conn;
  }

  /** Sets the memory, and lets time pass. */
  set(part: number, ms = 100): void {
    this.part = part;
    this.clock.advance(ms);
  }

  takeLines(): string[] {
    return this.lines.splice(0);
  }
}

const SHORT = "warn memory is short, new clients are refused";
const USED_UP = "error memory is used up, clients that complete no message are disconnected";
const STILL_SHORT = "info no more clients are disconnected, but new ones are still refused";
const SUFFICES = "info memory suffices again, new clients are accepted";

Deno.test("new clients are refused while memory is short, and some time after that", () => {
  const world = new World();
  world.add({});
  world.set(0.79, 1_000);
  assert.deepEqual([world.guard.level, world.guard.problem, world.takeLines()], [0, undefined, []]);
  world.set(0.8);
  assert.equal(world.guard.level, 1);
  assert.equal(
    world.guard.problem,
    "New clients are refused, because memory is short: 800 of 1000 MB in use",
  );
  world.set(0.76, 60_000);
  assert.equal(world.guard.level, 1);
  world.set(0.74, 1_900);
  assert.equal(world.guard.level, 1, "clients may come back");
  world.set(0.74, 200);
  assert.deepEqual([world.guard.level, world.guard.problem], [0, undefined]);
  assert.deepEqual(world.takeLines(), [SHORT, SUFFICES]);
  assert.deepEqual(world.closed, []);
});

Deno.test("garbage is collected before memory counts as short, but not again and again", () => {
  const world = new World();
  world.garbage = 0.4;
  world.set(0.9);
  assert.deepEqual([world.guard.level, world.collections, world.takeLines()], [0, 1, []]);
  world.garbage = 0.4;
  world.set(0.9);
  assert.deepEqual([world.guard.level, world.collections], [1, 1]);
  world.set(0.9, 30_000);
  world.set(0.5, 2_000);
  assert.deepEqual([world.guard.level, world.collections], [0, 2]);
});

Deno.test("clients that complete no message are disconnected, until there is memory again", () => {
  const world = new World();
  const honest = Array.from({ length: 5 }, () => world.add({ answers: true, quietPings: 0 }));
  const quiet = Array.from({ length: 5 }, (_, i) => world.add({ quietPings: i }));
  const silent = [100, 300, 200].map((openedAt) => world.add({ quietPings: Infinity, openedAt }));
  world.set(0.8);
  assert.equal(world.pings, 1);
  world.set(1, 400);
  assert.deepEqual(world.closed, [], "they may answer");
  world.set(1, 100);
  assert.deepEqual(world.closed, [silent[1], silent[2]], "a quarter, the newest silent ones first");
  world.set(1.01, 100);
  assert.equal(world.closed.length, 2, "their memory is free at the next check");
  assert.equal(world.ended, 2, "they had time to read why");
  world.set(1.01, 100);
  assert.deepEqual(world.closed.slice(2), [silent[0], quiet[4]]);
  world.set(0.95, 200);
  assert.deepEqual(world.closed.slice(4), [quiet[3], quiet[2]]);
  world.set(0.89, 5_000);
  assert.deepEqual([world.closed.length, world.ended], [6, 6]);
  assert.equal(world.guard.level, 1);
  world.set(0.5, 5_000);
  assert.deepEqual(world.takeLines(), [SHORT, USED_UP, STILL_SHORT, SUFFICES]);
  assert.ok(honest.every((conn) => world.connections.has(conn)));
});

Deno.test("clients that answered before are pinged again when memory is used up later", () => {
  const world = new World();
  world.add({ answers: true });
  const late = world.add({ answers: true });
  world.set(0.9, 10_000);
  late.answers = false;
  world.set(1, 100);
  assert.equal(world.pings, 2);
  world.set(1, 700);
  assert.deepEqual(world.closed, [late]);
});

Deno.test("all suspicious clients are disconnected at once when memory is far above the limit", () => {
  const world = new World();
  for (let i = 0; i < 20; i++) world.add({});
  world.add({ answers: true });
  world.set(1.3, 500);
  assert.equal(world.closed.length, 0, "they may answer");
  world.set(1.3);
  assert.equal(world.closed.length, 20);
});

Deno.test("clients for which most waits are disconnected first", () => {
  const world = new World();
  const held = [1, 8, 4].map((mb) => world.add({ answers: true, heldBytes: mb * 1_048_576 }));
  for (let i = 0; i < 5; i++) world.add({ quietPings: Infinity });
  world.set(1, 100);
  world.set(1, 500);
  assert.deepEqual(world.closed, [held[1], held[2]]);
});

Deno.test("nobody is disconnected in vain: not before memory has grown by much again", () => {
  const world = new World();
  const [idle, busy] = [world.add({}), world.add({ answers: true })];
  world.set(1.1, 10_000);
  assert.deepEqual(world.closed, [idle]);
  const pings = world.pings;
  busy.answers = false;
  world.set(1.15, 60_000);
  assert.deepEqual([world.pings, world.closed.length], [pings, 1]);
  world.set(1.17, 1_000);
  assert.deepEqual([world.pings, world.closed.length], [pings + 1, 2]);
});

Deno.test("a server that is short of memory refuses clients, and its health says so", async () => {
  const clock = new FakeClock();
  await using server = await serve({ maxMemoryBytes: 1, clock }, health(), echo());
  await using old = await server.connect("/echo");
  clock.advance(100);
  const response = await server.fetch("/health");
  assert.equal(response.status, 503);
  const { problems: [problem] } = await response.json();
  assert.match(problem, /^New clients are refused, because memory is short: \d+ of 0 MB in use$/);
  await assert.rejects(server.connect("/echo"), /503/);
  let closed = false;
  void old.closed.then(() => closed = true);
  await until("the disconnect", () => {
    clock.advance(100);
    return closed;
  });
  assert.equal((await old.closed).code, 3015);
  assert.equal((await server.log.next()).message, USED_UP.slice("error ".length));
});

Deno.test("a client is quiet from a ping to its next message, unless it cannot send", async () => {
  await using server = await offline({}, echo());
  const { conn, transport } = await server.connect(echo().endpoints![0]!);
  assert.equal(conn.quietPings, Infinity);
  conn.receive("hello");
  assert.equal(conn.quietPings, 0);
  conn.ping();
  conn.ping();
  assert.deepEqual([conn.quietPings, transport.pings], [2, 2]);
  conn.heard();
  assert.equal(conn.quietPings, 2, "a client can answer pings between fragments");
  conn.receive("hello");
  assert.equal(conn.quietPings, 0);
});
