/** The server: a list of tasks that is the same in every window. `deno task start` runs it. */

import { loadSettings, run, Server, setting } from "@plugboard/server";
import { auth } from "@plugboard/server/auth";
import { centrifuge } from "@plugboard/server/centrifuge";
import { channels } from "@plugboard/server/channels";
import { client } from "@plugboard/server/client/plugin";
import { liveQueries } from "@plugboard/server/live_queries";
import { logging } from "@plugboard/server/logging";
import { mutations } from "@plugboard/server/mutations";
import { pages } from "@plugboard/server/pages";
import { persistence } from "@plugboard/server/persistence";
import { presence } from "@plugboard/server/presence";
import { rateLimits } from "@plugboard/server/rate_limits";
import { rpc, RpcError } from "@plugboard/server/rpc";
import sdk from "centrifuge" with { type: "text" };
import { visitors } from "./visitors.ts";

const { PORT, DATABASE, JWT_SECRET } = loadSettings({
  PORT: setting.integer(8080, "Port to listen on"),
  DATABASE: setting.text("data/app.db", "File of the database"),
  JWT_SECRET: setting.secret(
    "Secret of the tokens of users; without it, everybody on this machine may connect",
  ),
});

const server = new Server({ port: PORT });
server.use(logging());
const store = server.use(persistence({ path: DATABASE }));
const limits = server.use(rateLimits());
const access = server.use(auth({
  limits: limits.signIns,
  ...(JWT_SECRET && { jwt: { secret: JWT_SECRET } }),
  // Users with a session of your own, by a cookie for example (plugins/README.md, "Your own users"):
  // signIn: ({ headers }) => sessions.userOf(headers.get("cookie")), // { user: "ada", permissions: ["read:*"] }
}));
const bus = server.use(channels({ access, limits }));
const people = server.use(presence({ channels: bus }));
const methods = server.use(rpc({ limits }));
const queries = server.use(liveQueries({ store, channels: bus }));
const changes = server.use(mutations({ store, rpc: methods, queries }));
server.use(visitors({ channels: bus }));
server.use(centrifuge({ channels: bus, presence: people, rpc: methods, access, limits }));
server.use(client());

server.use({
  name: "tasks",
  async start() {
    await store.migrate("tasks", [
      "CREATE TABLE tasks (id INTEGER PRIMARY KEY, title TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0) STRICT",
    ]);
    queries.define("tasks", { sql: "SELECT id, title, done FROM tasks ORDER BY id DESC LIMIT 100" });
  },
  routes(app) {
    app.get("/centrifuge.js", (c) => c.body(sdk, 200, { "content-type": "text/javascript; charset=utf-8" }));
  },
});

changes.define("addTask", {
  args(value) {
    const { title } = Object(value) as { title: unknown };
    if (typeof title !== "string" || title.trim() === "" || title.length > 200) {
      throw new RpcError(400, "A task has a title of 1 to 200 characters");
    }
    return { title: title.trim() };
  },
  run: (tx, { title }) => tx.run("INSERT INTO tasks (title) VALUES (?)", [title]).lastId,
});

changes.define("setDone", {
  args(value) {
    const { id, done } = Object(value) as { id: unknown; done: unknown };
    if (!Number.isInteger(id) || typeof done !== "boolean") throw new RpcError(400, "Give id and done");
    return { id: id as number, done };
  },
  run(tx, { id, done }) {
    const { changes } = tx.run("UPDATE tasks SET done = ? WHERE id = ?", [Number(done), id]);
    if (changes === 0) throw new RpcError(404, "There is no such task");
  },
});

server.use(pages({ folder: `${import.meta.dirname}/pages` }));
await run(server);
