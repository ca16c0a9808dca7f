/** A stop with workers, of which one ends, hangs or is replaced meanwhile, and with clients that come and go. */

import assert from "node:assert/strict";
import { type Closed, type Connection, type Plugin } from "../../../core/mod.ts";
import { type WorkerInfo, workers } from "../../../plugins/workers.ts";
import { type Client, serve, type TestServer, until, within } from "../../kit/mod.ts";
import { CapturedWorkers, connectionsOf } from "../../kit/workers.ts";

const SHUTDOWN = { code: 3001, reason: "shutdown" };

/** Far more than a stop may take here. */
const DRAIN_MS = 20_000;

interface Party extends AsyncDisposable {
  readonly server: TestServer;
  readonly captured: CapturedWorkers;
  readonly infos: () => readonly WorkerInfo[];
  readonly conns: Set<Connection>;
  readonly closed: Map<Connection, Closed>;
  /** Requests, and messages that say so, wait. */
  readonly waiting: () => number;
  /** Ends the drain hook, and answers messages that wait. */
  readonly release: () => void;
  /** Answers the requests of `/slow`. */
  readonly answer: () => void;
  readonly draining: Promise<void>;
  connect(): Promise<{ client: Client; conn: Connection; worker: number }>;
  stop(): Promise<number>;
}

/** Starts a server with workers whose drain hook waits until it is released. */
async function party(count: number, asked = () => {}): Promise<Party> {
  const captured = new CapturedWorkers();
  const conns = new Set<Connection>();
  const closed = new Map<Connection, Closed>();
  const begun = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  let waiting = 0;
  const plugin: Plugin = {
    name: "party",
    routes(app) {
      app.get("/never", () => (waiting++, new Promise<Response>(() => {})));
      app.get("/slow", () => (waiting++, answered.promise.then(() => new Response("answered"))));
    },
    upgrade() {
      asked();
      return undefined;
    },
    async drain() {
      begun.resolve();
      await released.promise;
    },
    endpoints: [{
      name: "party",
      path: "/party",
      open(conn) {
        conns.add(conn);
        return {
          async message(text) {
            waiting++;
            await released.promise;
            conn.send(text);
          },
          close: (why) => void closed.set(conn, why),
        };
      },
    }],
  };
  const cores = workers({ count });
  const server = await serve({ drainMs: DRAIN_MS }, cores, plugin);
  const infos = () => cores.api.workers;
  return {
    server,
    captured,
    infos,
    conns,
    closed,
    waiting: () => waiting,
    release: released.resolve,
    answer: answered.resolve,
    draining: begun.promise,
    async connect() {
      const [known, before] = [new Set(conns), connectionsOf(infos())];
      const client = await server.connect("/party");
      await until("the connection", () => conns.size > known.size);
      const [conn] = conns.difference(known);
      return { client, conn: conn!, worker: connectionsOf(infos()).findIndex((n, i) => n > before[i]!) };
    },
    /** Resolves to the milliseconds it took. */
    async stop() {
      const startedAt = performance.now();
      await within("the stop", server.server.stop());
      return performance.now() - startedAt;
    },
    async [Symbol.asyncDispose]() {
      released.resolve();
      await server[Symbol.asyncDispose]();
      captured[Symbol.dispose]();
    },
  };
}

/** Connects until each of two workers has clients. */
async function both(at: Party) {
  const all: Awaited<ReturnType<Party["connect"]>>[] = [];
  while (all.length < 6 || new Set(all.map(({ worker }) => worker)).size < 2) all.push(await at.connect());
  return all;
}

for (const how of ["ends", "hangs"] as const) {
  Deno.test(`a worker that ${how} during the drain delays nothing, and the clients of the others are told`, async () => {
    await using at = await party(2);
    const all = await both(at);
    const stopping = at.stop();
    await at.draining;
    if (how === "ends") CapturedWorkers.crash(at.captured.all[0]!);
    using hold = how === "hangs" ? CapturedWorkers.hold(at.captured.all[0]!) : undefined;
    at.release();
    const tookMs = await stopping;
    assert.ok(tookMs < DRAIN_MS / 2, `the stop took ${tookMs} ms`);
    hold?.release(); // Its sockets close when the thread ends.
    for (const { client, worker, conn } of all) {
      const { code, reason } = await within("the close", client.closed);
      if (worker === 1) assert.deepEqual({ code, reason }, SHUTDOWN);
      assert.ok(at.closed.has(conn));
    }
    assert.equal(at.server.server.connections.size, 0);
    assert.deepEqual(connectionsOf(at.infos()), [0, 0]);
  });
}

Deno.test("a worker that was to be replaced when the server stopped is not started any more", async () => {
  await using at = await party(1);
  const { client } = await at.connect();
  // Each attempt waits longer than the one before.
  for (let started = 1; started < 4; started++) {
    await until("the worker", () => at.captured.all.length === started);
    CapturedWorkers.crash(at.captured.all[started - 1]!);
    await until("its end", () => at.infos()[0]!.replaced === started);
  }
  at.release();
  const tookMs = await at.stop();
  assert.ok(tookMs < DRAIN_MS / 2, `the stop took ${tookMs} ms`);
  await client.closed;
  assert.equal(at.captured.all.length, 3); // A timer that is left fails the test, too.
});

Deno.test("closes during the drain keep their codes, in both directions", async () => {
  await using at = await party(2);
  const [kicked, leaving, staying] = [await at.connect(), await at.connect(), await at.connect()];
  // Each has a message that is not answered, so the drain waits.
  for (const { client } of [kicked, leaving, staying]) client.send("wait");
  await until("the messages", () => at.waiting() === 3);
  const stopping = at.stop();
  await at.draining;
  kicked.conn.send("last");
  kicked.conn.close({ code: 4_100, reason: "kicked" });
  void leaving.client.close(4_200);
  await until("both closes", () => at.closed.size === 2);
  at.release();
  await stopping;
  assert.equal(await kicked.client.next(), "last");
  assert.equal(await staying.client.next(), "wait");
  const codes = [kicked, leaving, staying].map(async ({ client }) => (await client.closed).code);
  assert.deepEqual(await Promise.all(codes), [4_100, 4_200, 3_001]);
  assert.deepEqual([kicked, leaving].map(({ conn }) => at.closed.get(conn)!.code), [4_100, 4_200]);
});

Deno.test("a request whose worker ends during the drain delays nothing", async () => {
  await using at = await party(1);
  const response = at.server.fetch("/never").catch(() => "lost");
  await until("the request", () => at.waiting() === 1);
  const stopping = at.stop();
  await at.draining;
  at.release();
  await until("the closing of the port", () => at.server.server.state === "draining");
  CapturedWorkers.crash(at.captured.all[0]!);
  assert.equal(await response, "lost");
  const tookMs = await stopping;
  assert.ok(tookMs < DRAIN_MS / 2, `the stop took ${tookMs} ms`);
});

Deno.test("a reader for whom much waits in its worker gets all of it before the close", async () => {
  await using at = await party(1);
  using raw = await at.server.raw("/party");
  await until("the reader", () => at.conns.size === 1);
  const [conn] = at.conns;
  // As long as the network takes something, then more.
  const taken = () => conn!.queuedBytes === 0;
  let sent = 0;
  for (let left = 5; left > 0;) {
    conn!.send(`${sent++} ${"x".repeat(60_000)}`);
    if (!await until("taken", taken, 50).then(() => true, () => false)) left--;
  }
  const stopping = at.stop();
  at.release();
  let last = 0;
  while (last < sent - 1) last = Number(new TextDecoder().decode(await raw.nextFrame(1)).split(" ")[0]);
  assert.equal(await raw.closeCode(), SHUTDOWN.code);
  raw[Symbol.dispose]();
  await stopping;
});

Deno.test("a request that is pending when the port closes may take longer than idle connections", async () => {
  await using at = await party(1);
  const response = at.server.fetch("/slow");
  await until("the request", () => at.waiting() === 1);
  const stopping = at.stop();
  await at.draining;
  at.release();
  await new Promise((resolve) => setTimeout(resolve, 1_300)); // Idle connections have a second.
  at.answer();
  assert.equal(await (await response).text(), "answered");
  await stopping;
});

Deno.test("a client whose socket opens when the drain has begun is asked to reconnect", async () => {
  const asked = Promise.withResolvers<void>();
  await using at = await party(1, () => asked.resolve());
  const connecting = at.server.connect("/party");
  await asked.promise;
  // The order to accept is posted next, so the worker stops between it and the socket's opening.
  await Promise.resolve();
  using hold = CapturedWorkers.hold(at.captured.all[0]!);
  const stopping = at.stop();
  at.release();
  hold.release();
  assert.deepEqual(await (await connecting).closed, SHUTDOWN);
  const tookMs = await stopping;
  assert.ok(tookMs < DRAIN_MS / 2, `the stop took ${tookMs} ms`);
  assert.equal(at.conns.size, 0, "it was opened");
});
