/**
 * A chat: rooms in which people talk, with a small page, or with nothing but wscat.
 *
 *     deno run --allow-net --allow-env --allow-read --allow-write examples/chat.ts
 *
 * Then open http://localhost:5001, or:
 *
 *     wscat -c ws://localhost:5001/ws/general/Alice
 *     curl localhost:5001/rooms -H 'Content-Type: application/json' -d '{"name":"Tech Talk"}'
 *
 * `--data-dir data` keeps rooms and messages, `--trace trace.jsonl` records every operation.
 */

import { loadSettings, run, Server, setting } from "@plugboard/server";
import { channels } from "@plugboard/server/channels";
import { chat } from "@plugboard/server/chat";
import { logging } from "@plugboard/server/logging";
import { persistence } from "@plugboard/server/persistence";
import { rateLimits } from "@plugboard/server/rate_limits";
import { sqliteBroker } from "@plugboard/server/sqlite_broker";
import { trace } from "@plugboard/server/trace";
import page from "./chat.html" with { type: "text" };

const { PORT, HOST, DATA_DIR, TRACE } = loadSettings({
  PORT: setting.integer(5001, "Port to listen on"),
  HOST: setting.text("127.0.0.1", "Address to listen on"),
  DATA_DIR: setting.optional("Where rooms and messages are kept; without it, as long as the process lasts"),
  TRACE: setting.optional("A file, or `stdout`: every operation leaves records there"),
});

const server = new Server({ port: PORT, hostname: HOST });
server.use(logging());
const limits = server.use(rateLimits());
const output = TRACE === undefined || TRACE === "stdout" ? TRACE : { file: TRACE };
const tracing = server.use(trace(output === undefined ? {} : { output }));
const kept = DATA_DIR === undefined ? undefined : server.use(persistence({ path: `${DATA_DIR}/chat.db` }));
server.use(chat({
  channels: server.use(channels()),
  limits,
  trace: tracing,
  typing: true,
  privateMessages: true,
  ...(kept && {
    store: kept.keyValues<string>("chat_rooms"),
    history: { broker: sqliteBroker({ store: kept }) },
  }),
}));

server.use({
  name: "page",
  routes: (app) =>
    void app.get("/", (c) => {
      const nonce = crypto.randomUUID();
      // Whatever somebody writes, only the page's own script runs there.
      const policy = `default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; ` +
        `script-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
      return c.html(page.replace("{{nonce}}", nonce), 200, { "content-security-policy": policy });
    }),
});

await run(server);
