/**
 * A Hono app with a page, routes and sessions, and the realtime server mounted in it.
 *
 *     deno run --allow-net --allow-env examples/hono_app.ts
 *
 * Open http://localhost:8084 in two windows, sign in with two names, and write in one of them. Posts go to a route of
 * the app. The realtime server delivers them to all users with a session.
 */

import { Hono } from "@hono/hono";
import { setCookie } from "@hono/hono/cookie";
import { parse } from "@hono/hono/utils/cookie";
import { loadSettings, run, Server, setting } from "@plugboard/server";
import { auth } from "@plugboard/server/auth";
import { channels } from "@plugboard/server/channels";
import { json } from "@plugboard/server/json";
import { logging } from "@plugboard/server/logging";
import { presence } from "@plugboard/server/presence";
import { look } from "./look/look.ts";
import page from "./hono_app.html" with { type: "text" };

const { PORT } = loadSettings({ PORT: setting.integer(8084, "Port to listen on") });

/** The users by session cookie. A real app stores sessions in its database. */
const sessions = new Map<string, string>();
const userOf = (headers: Headers) => sessions.get(parse(headers.get("cookie") ?? "").session ?? "");

const realtime = new Server({ port: false });
realtime.use(logging());
realtime.use(look);
const access = realtime.use(auth({
  signIn({ headers }) {
    const user = userOf(headers);
    return user === undefined ? undefined : { user, permissions: ["read:posts"] };
  },
}));
const bus = realtime.use(channels());
const people = realtime.use(presence({ channels: bus }));
realtime.use(json({ channels: bus, presence: people, access, path: "/realtime" }));

const app = new Hono<{ Bindings: Deno.ServeHandlerInfo }>();
app.get("/", (c) => c.html(page));
app.post("/session", async (c) => {
  const { name } = Object(await c.req.json().catch(() => null));
  if (typeof name !== "string" || !/^\w{1,20}$/.test(name)) return c.text("A name has 1 to 20 letters", 400);
  const session = crypto.randomUUID();
  sessions.set(session, name);
  setCookie(c, "session", session, { httpOnly: true, sameSite: "Strict" });
  return c.body(null, 204);
});
app.post("/posts", async (c) => {
  const user = userOf(c.req.raw.headers);
  if (user === undefined) return c.text("Sign in first", 401);
  const { text } = Object(await c.req.json().catch(() => null));
  if (typeof text !== "string" || text.length > 1_000) return c.text("A post has at most 1000 letters", 400);
  const { receivers } = await bus.publish("posts", { user, text });
  return c.json({ receivers }, 201);
});
for (const path of ["/realtime", "/style.css", "/icon.svg"]) {
  app.all(path, (c) => realtime.fetch(c.req.raw, c.env));
}

await run(realtime);
Deno.serve({ port: PORT, hostname: "127.0.0.1" }, app.fetch);
