/**
 * A team chat: people sign up with a password, make private rooms, invite others, and see what they have not read yet.
 *
 *     deno run --allow-net --allow-env --allow-read --allow-write examples/team_chat.ts
 *
 * Open http://127.0.0.1:8088 in two browsers (or one private window) and sign up with two names. Everything is in SQLite. Only
 * members of a room see its messages, and the server asks the table of members each time.
 */

import { getCookie, setCookie } from "@hono/hono/cookie";
import { loadSettings, run, Server, setting } from "@plugboard/server";
import { auth } from "@plugboard/server/auth";
import { centrifuge } from "@plugboard/server/centrifuge";
import { channels } from "@plugboard/server/channels";
import { client } from "@plugboard/server/client/plugin";
import { liveQueries } from "@plugboard/server/live_queries";
import { logging } from "@plugboard/server/logging";
import { mutations } from "@plugboard/server/mutations";
import { persistence } from "@plugboard/server/persistence";
import { presence } from "@plugboard/server/presence";
import { rateLimits } from "@plugboard/server/rate_limits";
import { rpc } from "@plugboard/server/rpc";
import sdk from "centrifuge" with { type: "text" };
import { look } from "./look/look.ts";
import page from "./team_chat.html" with { type: "text" };
import { accounts, SESSION_SECONDS } from "./team_chat/accounts.ts";
import { rooms } from "./team_chat/rooms.ts";

const { PORT, DATA_DIR, JWT_SECRET } = loadSettings({
  PORT: setting.integer(8088, "Port to listen on"),
  DATA_DIR: setting.text("data", "Folder of the database"),
  JWT_SECRET: setting.secret("Secret that signs tokens; by default a new one at each start"),
});
const secret = JWT_SECRET ?? crypto.randomUUID();

const server = new Server({ port: PORT });
server.use(logging());
server.use(look);
const limits = server.use(rateLimits());
const store = server.use(persistence({ path: `${DATA_DIR}/team_chat.db` }));

/** Asked for each subscription and each message of a room's channel. All else is forbidden: no token has permissions. */
const isMember = (user: string, room: number) =>
  store.all("SELECT 1 FROM members WHERE room = ? AND user = ?", [room, user]).length > 0;
const access = server.use(auth({
  limits: limits.signIns,
  jwt: { secret, audience: "realtime" },
  permissions: [],
  rule: ({ identity, resource }) =>
    resource.startsWith("room:") ? isMember(identity.user, Number(resource.slice(5))) : undefined,
}));

const bus = server.use(channels({ limits, access }));
const people = server.use(presence({ channels: bus }));
const methods = server.use(rpc({ limits }));
const queries = server.use(liveQueries({ store, channels: bus }));
const changes = server.use(mutations({ store, rpc: methods, queries }));
server.use(centrifuge({ channels: bus, presence: people, rpc: methods, access, limits }));
server.use(client());

const users = accounts(store, secret);
const { migration, ...api } = rooms(bus, isMember);
changes.defineAll(api.mutations);
server.use({
  name: "team_chat",
  async start() {
    await store.migrate("team_chat", [migration]);
    queries.defineAll(api.queries);
  },
  routes(app) {
    app.get("/", (c) => c.html(page));
    app.get("/centrifuge.js", (c) => c.body(sdk, 200, { "content-type": "text/javascript; charset=utf-8" }));
    app.use("/sign/*", limits.middleware());
    for (const [path, enter] of Object.entries({ "/sign/up": users.signUp, "/sign/in": users.signIn })) {
      app.post(path, async (c) => {
        // A body whose length the request does not say is refused too. Browsers always say it.
        const length = Number(c.req.header("content-length") ?? NaN);
        if (!(length <= 10_000)) return c.text("A request has at most 10,000 bytes", 413);
        const { session, error } = await enter(await c.req.json().catch(() => null));
        if (session === undefined) return c.text(error, 403);
        const cookie = { httpOnly: true, sameSite: "Strict", maxAge: SESSION_SECONDS } as const;
        setCookie(c, "session", session, cookie); // add `secure: true` behind HTTPS
        return c.body(null, 204);
      });
    }
    // The page asks again before its token expires. Without a session it gets none.
    app.post("/sign/token", async (c) => c.json(await users.tokenFor(getCookie(c, "session")) ?? {}));
    app.post("/sign/out", (c) => {
      setCookie(c, "session", "", { httpOnly: true, sameSite: "Strict", maxAge: 0 });
      return c.body(null, 204);
    });
  },
});

await run(server);
