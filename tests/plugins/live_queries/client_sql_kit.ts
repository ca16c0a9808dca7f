/** A server whose clients send SQL of their own. */

import { channels } from "../../../plugins/channels.ts";
import { liveQueries, type LiveQueriesOptions } from "../../../plugins/live_queries.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { anonymousIdentity, type Verb } from "../../../plugins/shared/identity.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { serve } from "../../kit/mod.ts";
import { folder } from "../persistence/kit.ts";

const ROWS = `
  CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, total REAL);
  CREATE TABLE other (id INTEGER PRIMARY KEY, x TEXT);
  WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 5000) INSERT INTO other SELECT n, 'x' FROM c;
`;

/** Starts it. Everybody may query as `ann`; `gate.beforeRead` runs before each read. */
export async function serveSql(options: Partial<LiveQueriesOptions> = {}) {
  const files = folder();
  const store = persistence({ path: files.file("a.db"), pollMs: 20 });
  const bus = channels();
  let inspections = 0;
  const gate: { beforeRead?: () => Promise<void> } = {};
  const isolated = store.api.isolated();
  const queries = liveQueries({
    store: store.api,
    channels: bus.api,
    clientSql: {
      inspect(sql, limits) {
        inspections++;
        return isolated.inspect(sql, limits);
      },
      async read(...args) {
        await gate.beforeRead?.();
        return await isolated.read(...args);
      },
    },
    maxMs: 60_000, // its process starts slowly on a busy machine
    ...options,
  });
  const can = (user: string) => (verb: Verb) => user === "ann" ? true : verb !== "query";
  const protocol = channelProtocol(bus.api, (user) => ({ ...anonymousIdentity, user, can: can(user) }));
  const server = await serve({}, store, bus, queries, protocol, json({ channels: bus.api }));
  await store.api.exec(ROWS);
  return {
    ...server,
    store: store.api,
    bus: bus.api,
    queries: queries.api,
    files,
    gate,
    inspections: () => inspections,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      files[Symbol.dispose]();
    },
  };
}
