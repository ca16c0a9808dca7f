/**
 * A to-do list in TinyBase: every browser has the complete list, works offline, and synchronizes when it reconnects.
 * The server stores it in SQLite.
 *
 *     deno run --allow-net --allow-env --allow-read --allow-write examples/todo.ts
 *
 * Open http://127.0.0.1:8085 in two windows. Select "Work offline" in one, change something in both, and reconnect; or
 * stop the server and start it again.
 */

import { loadSettings, run, Server, setting } from "@plugboard/server";
import { paths } from "@plugboard/server/paths";
import { persistence } from "@plugboard/server/persistence";
import { sqlitePersister, tinybase } from "@plugboard/server/tinybase";
import core from "tinybase/min" with { type: "text" };
import browser from "tinybase/min/persisters/persister-browser" with { type: "text" };
import tabs from "tinybase/min/synchronizers/synchronizer-broadcast-channel" with { type: "text" };
import ws from "tinybase/min/synchronizers/synchronizer-ws-client" with { type: "text" };
import { look } from "./look/look.ts";
import page from "./todo.html" with { type: "text" };

const { PORT, DATA_DIR } = loadSettings({
  PORT: setting.integer(8085, "Port to listen on"),
  DATA_DIR: setting.text("data", "Folder of the database"),
});

const server = new Server({ port: PORT });
const store = server.use(persistence({ path: `${DATA_DIR}/todo.db` }));
server.use(tinybase({
  paths: server.use(paths()),
  createPersisterForPath: sqlitePersister(store),
}));

/** TinyBase's modules, by the names in the page's import map. */
const modules = { core, browser, tabs, ws };

server.use(look);
server.use({
  name: "todo",
  routes(app) {
    app.get("/", (c) => {
      const nonce = crypto.randomUUID();
      // Only the page's own script can run, whatever text users enter.
      const policy =
        `default-src 'none'; script-src 'self' 'nonce-${nonce}'; style-src 'self' 'nonce-${nonce}'; ` +
        "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
      return c.html(page.replaceAll("{{nonce}}", nonce), 200, { "content-security-policy": policy });
    });
    for (const [name, text] of Object.entries(modules)) {
      const headers = { "content-type": "text/javascript; charset=utf-8" };
      app.get(`/tinybase/${name}.js`, (c) => c.body(text, 200, headers));
    }
  },
});

await run(server);
