/**
 * A small SQL desk for several users: all see the running queries with their progress, created and dropped tables, and
 * the pointers of the others.
 *
 *     deno run --allow-net --allow-env --allow-read --allow-write --allow-run examples/sql_gui.ts
 *
 * Open http://127.0.0.1:8086 in two windows. With `--allow-run`, a query that reads runs in a process, which is killed when the
 * query is cancelled. Without, it runs in a worker, which stops between two rows. Anyone who can open the page can run any
 * SQL on the example's database, so it is only for your own machine.
 */

import { type Connection, loadSettings, run, Server, setting } from "@plugboard/server";
import { auth } from "@plugboard/server/auth";
import { channels } from "@plugboard/server/channels";
import { json } from "@plugboard/server/json";
import { logging } from "@plugboard/server/logging";
import { persistence, type Value } from "@plugboard/server/persistence";
import { type Caller, rpc, RpcError } from "@plugboard/server/rpc";
import { type RunningQuery, sqlEvents } from "@plugboard/server/sql_events";
import { look } from "./look/look.ts";
import page from "./sql_gui.html" with { type: "text" };

const { PORT, DATABASE } = loadSettings({
  PORT: setting.integer(8086, "Port to listen on"),
  DATABASE: setting.text("data/sql_gui.db", "The database file"),
});

const server = new Server({ port: PORT });
server.use(logging());
const store = server.use(persistence({ path: DATABASE }));
// Everything is allowed on this machine, except for pages of other sites.
const access = server.use(auth({ hostname: "127.0.0.1" }));
const bus = server.use(channels({ access }));
const methods = server.use(rpc());
const events = server.use(sqlEvents({ channels: bus, store, progressMs: 100 }));
server.use(json({ channels: bus, rpc: methods, access }));

/** The latest query of each client. Its rows are fetched when it is complete. */
const latest = new Map<Connection, RunningQuery>();

server.use(look);
server.use({
  name: "sql_gui",
  start: () =>
    store.migrate("sql_gui", [`
      CREATE TABLE cities (id INTEGER PRIMARY KEY, name TEXT NOT NULL, population INTEGER NOT NULL) STRICT;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
      INSERT INTO cities SELECT i, 'City ' || i, 1000 + i * 7919 % 999331 FROM n;
    `]),
  close(conn) {
    const query = latest.get(conn);
    latest.delete(conn);
    if (query !== undefined) return void events.cancel(query.queryId);
  },
  routes: (app) =>
    void app.get("/", (c) => {
      const nonce = crypto.randomUUID();
      const policy =
        `default-src 'none'; connect-src 'self'; style-src 'self' 'nonce-${nonce}'; img-src 'self'; ` +
        `script-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
      return c.html(page.replaceAll("{{nonce}}", nonce), 200, { "content-security-policy": policy });
    }),
});

methods.define("tables", {
  run: () =>
    store.all<{ name: string }>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' " +
        "AND name NOT GLOB 'plugboard_*' ORDER BY name",
    ).map(({ name }) => name),
});

// Returns at once. A method that waited would delay other messages of this client, such as a cancellation.
methods.define("runQuery", {
  args: (value) => value as { sql: string; queryId: string; totalRows?: number; write: boolean },
  run({ sql, queryId, totalRows, write }, caller) {
    const conn = connOf(caller);
    const query = events.start(sql, [], {
      user: conn.id,
      queryId,
      write: write === true,
      ...(totalRows !== undefined && { totalRows }),
    });
    latest.set(conn, query);
  },
});

methods.define("cancelQuery", {
  run: async (_, caller) => await events.cancel(own(caller).queryId),
});

methods.define("fetchRows", {
  async run(_, caller) {
    const { columns, rows, rowCount, truncated } = await own(caller).result;
    return { columns, rows: rows.map((row) => row.map(shown)), rowCount, truncated };
  },
});

function connOf({ conn }: Caller): Connection {
  if (conn === undefined) throw new RpcError(400, "Queries need a connection");
  return conn;
}

function own(caller: Caller): RunningQuery {
  const query = latest.get(connOf(caller));
  if (query === undefined) throw new RpcError(404, "You have run no query yet");
  return query;
}

/** Returns a value in a readable form that JSON can express. */
function shown(value: Value): string | number | null {
  if (value instanceof Uint8Array) return `x'${value.subarray(0, 32).toHex()}' (${value.length} bytes)`;
  return typeof value === "bigint" ? String(value) : value;
}

await run(server);
