import assert from "node:assert/strict";
import { Child, until } from "../../kit/mod.ts";
import { children } from "../persistence/isolated/children.ts";
import { codeOf, ENDLESS_AGGREGATE, ENDLESS_ROWS, nextEvent, NUMBERS, serveSql } from "./kit.ts";

Deno.test("Q10 in a process a query without rows is cancelled with its process", async () => {
  await using server = await serveSql({ runIn: "process" });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  const query = server.events.start(ENDLESS_AGGREGATE, [], { queryId: "never" });
  await until("the process", () => children().length === 1);
  const [pid] = children();
  assert.equal(await server.events.cancel("never"), true);
  assert.equal(await codeOf(query.result), "cancelled");
  assert(!children().includes(pid!), "the process is gone when cancel resolves");
  assert.equal((await nextEvent(client))[0], "query:started");
  assert.deepEqual(await nextEvent(client), ["query:cancelled", { queryId: "never" }]);
});

Deno.test("Q10 a query whose process is killed fails, and the next one gets a new process", async () => {
  await using server = await serveSql({ runIn: "process" });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  const query = server.events.start(ENDLESS_ROWS);
  await until("rows", () => query.rowCount > 0);
  for (const pid of children()) Deno.kill(pid, "SIGKILL");
  assert.equal(await codeOf(query.result), "query_failed");
  assert.equal((await nextEvent(client))[0], "query:started");
  assert.match((await nextEvent(client))[1].error, /process has ended/);
  assert.equal((await server.events.run("SELECT 1")).rowCount, 1);
  for (const pid of children()) Deno.kill(pid, "SIGKILL"); // while it is idle
  await until("its end", () => children().length === 0);
  await until("another process", async () => await codeOf(server.events.run("SELECT 1")) === "none");
});

Deno.test("Q10 a query that may write but only reads can be stopped", async () => {
  await using server = await serveSql({ runIn: "process" });
  await server.store.exec(NUMBERS);
  const query = server.events.start(ENDLESS_AGGREGATE, [], { write: true });
  await until("the process", () => children().length === 1);
  assert.equal(await server.events.cancel(query.queryId), true);
  assert.deepEqual(children(), []);
});

Deno.test("Q10 in a worker a cancelled query without rows goes on and counts as running until it ends", async () => {
  await using server = await serveSql({ runIn: "worker", maxQueries: 1 });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  // Some seconds of work, so that it ends by itself.
  const sql = "SELECT count(*) FROM numbers a, numbers b WHERE b.n <= 3000 AND a.n + b.n > 1";
  const query = server.events.start(sql, [], { queryId: "slow" });
  assert.equal(await server.events.cancel("slow"), true);
  assert.equal(await codeOf(query.result), "cancelled");
  assert.equal((await nextEvent(client))[0], "query:started");
  assert.deepEqual(await nextEvent(client), ["query:cancelled", { queryId: "slow", goesOn: true }]);
  assert.match((await server.log.next()).message, /goes on in its worker/);
  assert.equal(await codeOf(() => server.events.start("SELECT 1")), "overloaded");
  await until("its end", async () => await codeOf(server.events.run("SELECT 1")) === "none", 60_000);
});

Deno.test("Q10 a query that needs too much memory fails in its process", async () => {
  await using server = await serveSql({ runIn: "process", maxMemoryBytes: 50_000_000 });
  const endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION SELECT x + 1 FROM c) SELECT max(x) FROM c";
  assert.equal(await codeOf(server.events.run(endless)), "out_of_memory");
  assert.equal(await codeOf(server.events.run("SELECT randomblob(60000000)")), "out_of_memory");
  assert.equal((await server.events.run("SELECT 1")).rowCount, 1);
});

Deno.test("Q10 SQL that takes very long to prepare blocks nothing, and can be cancelled", async () => {
  await using server = await serveSql({ runIn: "process" });
  await using client = await server.join();
  const tables = Array.from({ length: 30 }, (_, i) => `c${i + 1} AS (SELECT a.n FROM c${i} a, c${i} b)`);
  const query = server.events.start(`WITH c0 AS (SELECT 1 AS n), ${tables.join(", ")} SELECT n FROM c30`);
  client.sendJson({ type: "ping" });
  assert.equal((await client.nextJson()).type, "pong");
  assert.equal(await server.events.cancel(query.queryId), true);
  assert.deepEqual(children(), []);
});

Deno.test("Q10 busy and idle processes end with a server that is killed", async () => {
  await using server = new Child(new URL("./killed.ts", import.meta.url));
  const pids = (await server.line()).split(" ").map(Number);
  assert.equal(pids.length, 2);
  assert(pids.every(running));
  server.kill("SIGKILL");
  await server.end();
  await until("the end of the processes", () => !pids.some(running));
});

function running(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}
