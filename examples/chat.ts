/**
 * A chat: rooms in which people talk, with a small web page or with wscat.
 *
 *     deno run --allow-net --allow-env --allow-read --allow-write examples/chat.ts
 *
 * Then open http://localhost:5001, or:
 *
 *     wscat -c ws://localhost:5001/ws/general/Alice
 *     curl localhost:5001/rooms -H 'Content-Type: application/json' -d '{"name":"Tech Talk"}'
 *
 * `--data-dir data` stores rooms and messages, `--trace trace.jsonl` records every operation.
 */

import { loadSettings, run, Server, setting } from "@plugboard/server";
import { channels } from "@plugboard/server/channels";
import { chat } from "@plugboard/server/chat";
import { logging } from "@plugboard/server/logging";
import { persistence } from "@plugboard/server/persistence";
import { rateLimits } from "@plugboard/server/rate_limits";
import { sqliteBroker } from "@plugboard/server/sqlite_broker";
import { trace } from "@plugboard/server/trace";
import { look } from "./look/look.ts";
import page from "./chat.html" with { type: "text" };

const { PORT, HOST, DATA_DIR, TRACE } = loadSettings({
  PORT: setting.integer(5001, "Port to listen on"),
  HOST: setting.text("127.0.0.1", "Address to listen on"),
  DATA_DIR: setting.optional(
    "Folder for rooms and messages; without it, they are lost at the end of the process",
  ),
  TRACE: setting.optional("File for records of every operation, or `stdout`"),
});

const server = new Server({ port: PORT, hostname: HOST });
server.use(logging());
const limits = server.use(rateLimits());
const output = TRACE === undefined || TRACE === "stdout" ? TRACE : { file: TRACE };
const tracing = server.use(trace(output === undefined ? {} : { output }));
const store = DATA_DIR === undefined ? undefined : server.use(persistence({ path: `${DATA_DIR}/chat.db` }));
server.use(chat({
  channels: server.use(channels()),
  limits,
  trace: tracing,
  typing: true,
  privateMessages: true,
  ...(store && {
    store: store.keyValues<string>("chat_rooms"),
    history: { broker: sqliteBroker({ store }) },
  }),
}));

server.use(look);
server.use({
  name: "page",
  routes: (app) =>
    void app.get("/", (c) => {
      const nonce = crypto.randomUUID();
      // Only the page's own script runs, whatever the messages contain.
      const policy = `default-src 'none'; connect-src 'self'; style-src 'self'; img-src 'self'; ` +
        `script-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
      return c.html(page.replace("{{nonce}}", nonce), 200, { "content-security-policy": policy });
    }),
});

await run(server);
