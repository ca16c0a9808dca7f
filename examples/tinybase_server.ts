/**
 * Multi-tenant path routing and TinyBase sync. Each URL path is a separate tenant, stored in SQLite.
 *
 *     deno run --allow-net --allow-env --allow-read --allow-write examples/tinybase_server.ts
 *
 * Messages `ToClientId|RequestId|MessageType|Body` at `/ws/<path>`:
 *
 *     wscat -c ws://localhost:5000/ws/my-store
 *     > |req001|broadcast|Hello everyone!
 *     > S|req002|query|getData
 *
 * TinyBase's clients at `/sync/<path>`:
 *
 *     createWsSynchronizer(store, new WebSocket("ws://localhost:5000/sync/my-store"))
 *
 * `S` answers queries from the TinyBase store of the same path: `getData` for all of it, `getTable pets` for one table.
 *
 * Settings from the environment: PORT (5000), MAX_MESSAGE_SIZE (65536 bytes), OPERATION_TIMEOUT_SECONDS (30),
 * MAX_CONNECTIONS_PER_PATH (100), ENABLE_AUTO_CLEANUP (true), WEBSOCKET_PATH (/ws), DATA_DIR (data) and JWT_SECRET. With
 * the latter, requests without a token (`?token=`) are refused with 401, and those whose permissions
 * (`write:path:my-store`, `read:path:*`) do not include the path with 403.
 */

import { messageOf, run, Server } from "@plugboard/server";
import { auth } from "@plugboard/server/auth";
import { logging } from "@plugboard/server/logging";
import { paths, type PathsOptions, storedMail } from "@plugboard/server/paths";
import { persistence } from "@plugboard/server/persistence";
import {
  MessagePayload,
  pipe,
  type PipeServerClient,
  pipeSettings,
  type PipeSide,
} from "@plugboard/server/pipe";
import { type OpenStore, sqlitePersister, tinybase, type TinyBaseSync } from "@plugboard/server/tinybase";

const { DATA_DIR = "data", JWT_SECRET, ...env } = Deno.env.toObject();

function tinybaseServer(): Server {
  const { port, path, maxMessageBytes, ...limits } = pipeSettings(env);
  const server = new Server({ port });
  server.use(logging());
  const access = server.use(auth(JWT_SECRET === undefined ? {} : { jwt: { secret: JWT_SECRET } }));
  const options: PathsOptions = { ...limits, allow: access.allowPath };
  const store = server.use(persistence({ path: `${DATA_DIR}/tinybase.db` }));
  const stores = server.use(tinybase({
    paths: server.use(paths(options)),
    createPersisterForPath: sqlitePersister(store),
  }));
  server.use(pipe({
    paths: server.use(paths({ ...options, mailStore: storedMail(store) })),
    path,
    maxMessageBytes,
    createServerClient: (side) => queryClient(side, stores),
  }));
  return server;
}

/** Answers queries from the path's TinyBase store, which stays loaded while the path is in use. */
function queryClient(side: PipeSide, stores: TinyBaseSync): PipeServerClient {
  let opened: OpenStore | undefined;
  return {
    async start() {
      opened = await stores.open(side.path);
    },
    async stop() {
      await opened?.[Symbol.asyncDispose]();
    },
    message(from, { requestId, messageType, body }) {
      if (messageType !== "query" || opened === undefined) return;
      const [query, table] = body.split(" ");
      const { store } = opened;
      const answer = query === "getData"
        ? store.getContent()
        : query === "getTable" && table !== undefined
        ? store.getTable(table)
        : { error: `Unknown query ${JSON.stringify(body)}` };
      side.send(from, MessagePayload.toClient(from, requestId, "response", JSON.stringify(answer)));
    },
  };
}

let server: Server;
try {
  server = tinybaseServer();
} catch (error) {
  // deno-lint-ignore no-console -- there is no server log yet
  console.error(messageOf(error));
  Deno.exit(1);
}
await run(server);
