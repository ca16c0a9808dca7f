/**
 * An orders board: every browser shows changes at once, without code that refreshes.
 *
 *     deno run --allow-net --allow-env examples/orders.ts
 *
 * Open http://127.0.0.1:8082 in two windows and add an order in one of them. The page uses a plain `WebSocket`. The same
 * page in React, with hooks for live queries, is at http://127.0.0.1:8082/react; see `orders_react.html`.
 * `--database orders.db` keeps the orders; it needs permission to read and write that file.
 */

import { loadSettings, run, Server, setting } from "@plugboard/server";
import { centrifuge } from "@plugboard/server/centrifuge";
import { channels } from "@plugboard/server/channels";
import { client } from "@plugboard/server/client/plugin";
import { liveQueries } from "@plugboard/server/live_queries";
import { mutations } from "@plugboard/server/mutations";
import { persistence } from "@plugboard/server/persistence";
import { json } from "@plugboard/server/json";
import { rpc, RpcError } from "@plugboard/server/rpc";
import sdk from "centrifuge" with { type: "text" };
import htm from "htm" with { type: "text" };
import { look } from "./look/look.ts";
import page from "./orders.html" with { type: "text" };
import reactPage from "./orders_react.html" with { type: "text" };
import react from "./vendor/react.js" with { type: "text" };

const { PORT, DATABASE } = loadSettings({
  PORT: setting.integer(8082, "Port to listen on"),
  DATABASE: setting.text(":memory:", "File for the orders"),
});

const server = new Server({ port: PORT });
const store = server.use(persistence({ path: DATABASE }));
const bus = server.use(channels());
const methods = server.use(rpc());
const queries = server.use(liveQueries({ store, channels: bus }));
const changes = server.use(mutations({ store, rpc: methods, queries }));
server.use(json({ channels: bus, rpc: methods })); // for the page with a plain WebSocket
server.use(centrifuge({ channels: bus, rpc: methods })); // for the page in React
server.use(client());

const STATUSES = ["pending", "shipped"];

server.use(look);
server.use({
  name: "orders",
  async start() {
    await store.migrate("orders", [`
      CREATE TABLE orders (
        id INTEGER PRIMARY KEY,
        customer TEXT NOT NULL,
        total REAL NOT NULL,
        status TEXT NOT NULL DEFAULT 'pending'
      ) STRICT;
      CREATE INDEX orders_by_status ON orders (status);
    `]);
    queries.define("ordersByStatus", {
      sql: "SELECT id, customer, total FROM orders WHERE status = :status ORDER BY id DESC LIMIT 100",
      params: { status: "string" },
    });
    queries.define("turnover", {
      sql:
        "SELECT status, count(*) AS orders, sum(total) AS total FROM orders GROUP BY status ORDER BY status",
      key: ["status"],
    });
  },
  routes(app) {
    app.get("/", (c) => c.html(page));
    app.get("/react", (c) => c.html(reactPage));
    const headers = { "content-type": "text/javascript; charset=utf-8" };
    for (const [name, text] of Object.entries({ centrifuge: sdk, htm, react })) {
      app.get(`/${name}.js`, (c) => c.body(text, 200, headers));
    }
  },
});

changes.define("addOrder", {
  args(value) {
    const { customer, total } = value as { customer: unknown; total: unknown };
    if (typeof customer !== "string" || customer.trim() === "" || customer.length > 100) {
      throw new RpcError(400, "A customer has a name of 1 to 100 characters");
    }
    if (typeof total !== "number" || !(total > 0)) throw new RpcError(400, "A total is a positive number");
    return { customer: customer.trim(), total };
  },
  run: (tx, { customer, total }) =>
    tx.run("INSERT INTO orders (customer, total) VALUES (?, ?)", [customer, total]).lastId,
});

changes.define("setStatus", {
  args(value) {
    const { id, status } = value as { id: unknown; status: unknown };
    if (!Number.isInteger(id) || !STATUSES.includes(status as string)) {
      throw new RpcError(400, "Unknown order or status");
    }
    return { id: id as number, status: status as string };
  },
  run(tx, { id, status }) {
    const { changes: changed } = tx.run("UPDATE orders SET status = ? WHERE id = ?", [status, id]);
    if (changed === 0) throw new RpcError(404, "Unknown order");
  },
});

await run(server);
