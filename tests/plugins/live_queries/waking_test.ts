import assert from "node:assert/strict";
import { channels } from "../../../plugins/channels.ts";
import { liveQueries, type QueryDefinition } from "../../../plugins/live_queries.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { FakeClock, serve, until } from "../../kit/mod.ts";
import { byStatus, follow, serveQueries } from "./kit.ts";

/** Checks that after each write a subscriber has the same rows as a new subscriber. */
async function follows(schema: string, sql: string, writes: string[], more: Partial<QueryDefinition> = {}) {
  await using server = await serveQueries();
  await server.store.exec(schema);
  server.queries.define("q", { sql, ...more });
  const text = more.params === undefined ? "" : `?${Object.keys(more.params).map((name) => `${name}=5`)}`;
  await using client = await server.connect("/t");
  const live = await follow(client, `live:q${text}`);
  for (const write of writes) {
    const before = JSON.stringify(live.rows());
    await server.store.exec(write);
    await live.next();
    assert.notEqual(JSON.stringify(live.rows()), before, `${write} has changed nothing`);
    await using other = await server.connect("/t");
    assert.deepEqual(live.rows(), (await follow(other, `live:q${text}`)).rows(), write);
  }
}

const TABLES = "CREATE TABLE a (id INTEGER PRIMARY KEY, v, w); CREATE TABLE b (id INTEGER PRIMARY KEY, v);";

Deno.test("S05 a table with a capital in its name and without reported rows wakes its queries", async () => {
  await follows("CREATE TABLE Loose (v)", "SELECT v FROM Loose", ["INSERT INTO Loose VALUES (1)"]);
});

Deno.test("S05 a table that is read directly and through a view wakes for rows that only the view returns", async () => {
  await follows(
    `${TABLES} CREATE VIEW others AS SELECT id FROM a WHERE v = 1;`,
    "SELECT a.id, others.id AS other FROM a JOIN others WHERE a.v = :v",
    ["INSERT INTO a VALUES (1, 5, 0), (2, 1, 0)", "INSERT INTO a VALUES (3, 1, 0)"],
    { params: { v: "integer" } },
  );
});

Deno.test("S05 inserting the missing row of an outer join wakes the query", async () => {
  await follows(
    `${TABLES} INSERT INTO b VALUES (1, 1);`,
    "SELECT b.id FROM b LEFT JOIN a ON a.id = b.id WHERE a.v IS NULL",
    ["INSERT INTO a VALUES (1, 5, 0)"],
  );
});

Deno.test("S05 generated columns change with their sources, and are not used to find instances", async () => {
  for (const kind of ["VIRTUAL", "STORED"]) {
    const schema = `CREATE TABLE g (id INTEGER PRIMARY KEY, v, made AS (v + 1) ${kind})`;
    const writes = ["INSERT INTO g (id, v) VALUES (1, 4)", "UPDATE g SET v = 7"];
    await follows(schema, "SELECT made FROM g", writes);
    await follows(schema, "SELECT id FROM g WHERE made = :v", writes, { params: { v: "integer" } });
  }
});

Deno.test("S05 full-text search is followed", async () => {
  await follows(
    "CREATE VIRTUAL TABLE Texts USING fts5 (body)",
    "SELECT body FROM Texts WHERE Texts MATCH 'hello' ORDER BY body",
    ["INSERT INTO Texts VALUES ('hello you')", "INSERT INTO Texts VALUES ('hello me'), ('bye')"],
  );
});

Deno.test("full-text search of another table's content is refused, since changes of that are not reported", async () => {
  await using server = await serveQueries();
  await server.store.exec(`
    CREATE TABLE texts (id INTEGER PRIMARY KEY, body);
    CREATE VIRTUAL TABLE search USING fts5 (body, content = texts, content_rowid=id);
    CREATE VIRTUAL TABLE search4 USING fts4 (body, content=texts);
    CREATE VIRTUAL TABLE own USING fts5 (title, content);
  `);
  for (const table of ["search", "search4"]) {
    const sql = `SELECT body FROM ${table} WHERE ${table} MATCH 'hello'`;
    assert.throws(
      () => server.queries.define("q", { sql }),
      new RegExp(`reads "${table}".*refresh interval`),
    );
    server.queries.define(`${table}Now`, { sql, refreshMs: 1_000 });
  }
  server.queries.define("own", { sql: "SELECT content FROM own WHERE own MATCH 'hello'" });
});

Deno.test("S05 a query of JSON in a column is followed", async () => {
  await follows(
    TABLES,
    "SELECT each.value FROM a, json_each(a.v) AS each ORDER BY 1",
    [`INSERT INTO a VALUES (1, '[1,2]', 0)`, `UPDATE a SET v = '[2,3]'`],
  );
});

Deno.test("the rowid of a table with another primary key is refused, since its changes cannot be seen", async () => {
  await using server = await serveQueries();
  await server.store.exec("CREATE TABLE t (k TEXT PRIMARY KEY, v); CREATE TABLE u (v)");
  assert.throws(
    () => server.queries.define("q", { sql: "SELECT rowid, v FROM t" }),
    /reads the rowid of "t"/,
  );
  server.queries.define("orders", { sql: "SELECT rowid FROM orders" });
  server.queries.define("loose", { sql: "SELECT rowid, v FROM u" });
});

Deno.test("S04 ad hoc SQL follows a redefined view, and its parameters differ by type", async () => {
  await using server = await serveQueries();
  await server.store.exec("CREATE VIEW shown AS SELECT id, status FROM orders WHERE status = 'a'");
  await using client = await server.connect("/t");
  await until("the client", () => server.bus.clients.size === 1);
  const [id] = server.bus.clients.keys();
  await server.queries.subscribeToQuery(id!, "SELECT id FROM shown");
  await client.nextJson();
  await server.store.exec("DROP VIEW shown; CREATE VIEW shown AS SELECT id FROM other");
  await server.store.run("INSERT INTO other VALUES (7, 'x')");
  assert.deepEqual((await client.nextJson()).data.upsert, [{ id: 7 }]);

  const kinds: [string, unknown][] = [];
  for (const param of [1, "1", null, 1n, Uint8Array.of(49)]) {
    await server.queries.subscribeToQuery(id!, "SELECT typeof(?) AS type", [param]);
    kinds.push([JSON.parse((await client.nextJson()).data).rows[0].type, param]);
  }
  assert.deepEqual(kinds.map(([type]) => type), ["real", "text", "null", "integer", "blob"]);
});

Deno.test("S04 ad hoc SQL has parameters by position, number and name, in any order", async () => {
  await using server = await serveQueries();
  await using client = await server.connect("/t");
  await until("the client", () => server.bus.clients.size === 1);
  const [id] = server.bus.clients.keys();
  const asked = async (...query: [string, unknown[] | Record<string, unknown>]) => {
    await server.queries.subscribeToQuery(id!, ...query as [string, string[]]);
    return JSON.parse((await client.nextJson()).data).rows[0];
  };
  assert.deepEqual(await asked("SELECT ? AS a, ? AS b", ["x", "y"]), { a: "x", b: "y" });
  assert.deepEqual(await asked("SELECT ?2 AS a, ?1 AS b", ["x", "y"]), { a: "y", b: "x" });
  assert.deepEqual(await asked("SELECT $2 AS a, $1 AS b", ["x", "y"]), { a: "y", b: "x" });
  assert.deepEqual(await asked("SELECT :b AS a, @a AS b", { a: "x", b: "y" }), { a: "y", b: "x" });
});

Deno.test("after a change of its key a result is sent as a snapshot", async () => {
  await using server = await serveQueries();
  await server.store.exec(
    "CREATE TABLE t (a NOT NULL, b NOT NULL, PRIMARY KEY (a)); INSERT INTO t VALUES (1, 2)",
  );
  server.queries.define("q", { sql: "SELECT * FROM t ORDER BY a" });
  await using client = await server.connect("/t");
  const live = await follow(client, "live:q");
  await server.store.exec(
    "DROP TABLE t; CREATE TABLE t (a NOT NULL, b NOT NULL, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, 2), (1, 3)",
  );
  await live.next();
  assert.deepEqual(live.rows(), [{ a: 1, b: 2 }, { a: 1, b: 3 }]);
  await server.store.run("DELETE FROM t WHERE b = 2");
  assert.deepEqual(await live.next(), { delete: [[1, 2]] });
  assert.deepEqual(live.rows(), [{ a: 1, b: 3 }]);
});

Deno.test("a watcher gets the reason when its query ends, and later subscribers get a new instance", async () => {
  await using server = await serveQueries({ byStatus }, { maxRows: 1 });
  const ended: string[] = [];
  const heard: unknown[] = [];
  const status = { status: "a" };
  server.queries.watch("byStatus", status, (diff) => heard.push(diff), (reason) => ended.push(reason));
  await server.store.run("INSERT INTO orders VALUES (1, 'x', 'a', 1), (2, 'x', 'a', 1)");
  await until("the end of the query", () => ended.length > 0);
  assert.match(ended[0]!, /more than 1 rows/);
  await server.store.run("DELETE FROM orders WHERE id = 2");
  await using client = await server.connect("/t");
  const live = await follow(client, "live:byStatus?status=a");
  await server.store.run("UPDATE orders SET total = 2");
  await live.next();
  assert.deepEqual(live.rows(), [{ id: 1, customer: "x", total: 2 }]);
  assert.deepEqual(heard, [], "no diffs after the end");
});

Deno.test("S05 inside a write, live queries refuse to show uncommitted rows", async () => {
  await using server = await serveQueries({ byStatus });
  const refused: unknown[] = [];
  await server.store.write((tx) => {
    tx.run("INSERT INTO orders VALUES (1, 'x', 'a', 1)");
    for (
      const show of [
        () => server.queries.settle(),
        () => server.queries.watch("byStatus", { status: "a" }, () => {}),
      ]
    ) {
      try {
        show();
      } catch (error) {
        refused.push((error as { code: string }).code);
      }
    }
  });
  assert.deepEqual(refused, ["in_transaction", "in_transaction"]);
});

Deno.test("a client that missed more text than a snapshot has gets a snapshot", async () => {
  await using server = await serveQueries({ byStatus });
  await using client = await server.connect("/t");
  const live = await follow(client, "live:byStatus?status=a");
  const { epoch } = live.reply.position;
  for (let i = 0; i < 5; i++) {
    await server.store.run("INSERT OR REPLACE INTO orders VALUES (1, ?, 'a', 1)", [String(i).repeat(8_000)]);
    await live.next();
  }
  const recovered = async (offset: number) => {
    await using other = await server.connect("/t");
    const { reply } = await follow(other, "live:byStatus?status=a", { recover: { offset, epoch } });
    return reply.recovered;
  };
  assert.equal(await recovered(4), true);
  assert.equal(await recovered(1), false);
});

Deno.test("a slow first run is refused, and the query for a while", async () => {
  const sql = "SELECT :n AS n";
  await using server = await serveQueries({ slow: { sql, params: { n: "integer" } } }, { maxMs: 60 });
  /** Watches on a machine where a run takes so long. */
  const watch = (n: number, tookMs: number) => {
    const { now } = performance;
    let time = 0;
    performance.now = () => time += tookMs;
    try {
      server.queries.watch("slow", { n }, () => {});
    } finally {
      performance.now = now;
    }
  };
  watch(1, 60);
  assert.throws(() => watch(2, 61), /takes longer than 60 ms/);
  assert.throws(() => watch(3, 1), /takes longer than 60 ms/, "with any parameters");
});

Deno.test("a query with a refresh interval runs without writes", async () => {
  await using server = await serveQueries({
    clock: { sql: "SELECT strftime('%f', 'now') AS now", refreshMs: 5 },
  });
  await using client = await server.connect("/t");
  const live = await follow(client, "live:clock");
  const [first] = live.rows();
  await live.next();
  await live.next();
  assert.notDeepEqual(live.rows()[0], first);
});

Deno.test("a query without subscribers leaves no timer, no watched table and no history", async () => {
  const clock = new FakeClock();
  const database = persistence({ path: ":memory:" });
  const watched = new Set<string>();
  const { api } = database;
  const store = Object.create(api, {
    watch: {
      value: (...args: Parameters<typeof api.watch>) => {
        const watch = api.watch(...args);
        return {
          add: (table: string) => (watched.add(table), watch.add(table)),
          delete: (table: string) => (watched.delete(table), watch.delete(table)),
          stop: watch.stop,
        };
      },
    },
  });
  const bus = channels();
  const queries = liveQueries({ store, channels: bus.api, lingerMs: 1_000 });
  await using _server = await serve({ clock }, database, bus, queries);
  await api.exec("CREATE TABLE a (id INTEGER PRIMARY KEY, v); CREATE TABLE b (id INTEGER PRIMARY KEY, v)");
  queries.api.define("q", {
    sql: "SELECT a.id FROM a JOIN b USING (id) WHERE a.v = :v",
    params: { v: "integer" },
  });
  const timers = clock.pending;
  for (let round = 0; round < 2; round++) {
    const watches = Array.from({ length: 100 }, (_, v) => queries.api.watch("q", { v }, () => {}));
    await queries.api.subscribeToQuery("nobody", "SELECT v FROM b WHERE id = ?", [1]);
    assert.deepEqual([queries.api.size, watched], [101, new Set(["a", "b"])]);
    assert.equal(clock.pending, timers + 1, "only the query without subscribers has a timer");
    await api.exec("DELETE FROM b; INSERT OR REPLACE INTO a VALUES (1, 5); INSERT INTO b VALUES (1, 5)");
    queries.api.settle();
    for (const { stop } of watches) stop();
    clock.advance(999);
    assert.equal(queries.api.size, 101, "kept for clients that reconnect");
    clock.advance(1);
    assert.deepEqual([queries.api.size, watched, clock.pending], [0, new Set(), timers]);
  }
});
