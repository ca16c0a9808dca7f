/** A server with live queries and the plugins they need, over real sockets. */

import type { ServerOptions } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { liveQueries, type LiveQueriesOptions, type QueryDefinition } from "../../../plugins/live_queries.ts";
import { liveRows } from "../../../plugins/shared/live_rows.ts";
import { mutations } from "../../../plugins/mutations.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { rpc } from "../../../plugins/rpc.ts";
import { anonymousIdentity } from "../../../plugins/shared/identity.ts";
import { metricsRegistry } from "../../../plugins/shared/metrics.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { type Client, serve } from "../../kit/mod.ts";

const ORDERS = `
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, status TEXT, total REAL);
  CREATE TABLE other (id INTEGER PRIMARY KEY, x TEXT);
`;

export async function serveQueries(
  definitions: Record<string, QueryDefinition> = {},
  options: Partial<LiveQueriesOptions> = {},
  serverOptions: ServerOptions = {},
) {
  const database = persistence({ path: ":memory:" });
  const bus = channels();
  const methods = rpc();
  const metrics = metricsRegistry();
  const queries = liveQueries({ store: database.api, channels: bus.api, metrics, ...options });
  const changes = mutations({ store: database.api, rpc: methods.api, queries: queries.api });
  const protocol = channelProtocol(
    bus.api,
    (user) => ({ ...anonymousIdentity, user, can: (_, what) => what !== "live:closed" }),
  );
  const server = await serve(serverOptions, database, bus, methods, queries, changes, protocol);
  await database.api.exec(ORDERS);
  for (const [name, definition] of Object.entries(definitions)) queries.api.define(name, definition);
  const all = {
    store: database.api,
    bus: bus.api,
    methods: methods.api,
    queries: queries.api,
    mutations: changes.api,
  };
  return Object.assign(server, all, { metrics });
}

export const byStatus: QueryDefinition = {
  sql: "SELECT id, customer, total FROM orders WHERE status = :status ORDER BY id LIMIT 100",
  params: { status: "string" },
};

/** Subscribes to a live query and keeps its rows up to date. */
export async function follow(client: Client, channel: string, request: object = {}) {
  client.sendJson({ do: "subscribe", channel, ...request });
  const reply = await client.nextJson();
  if (reply.error !== undefined) throw new Error(reply.error);
  const rows = liveRows();
  if (reply.data !== undefined) rows.apply(JSON.parse(reply.data));
  return {
    reply,
    rows: () => rows.rows,
    async next() {
      const { data } = await client.nextJson();
      rows.apply(data);
      return data;
    },
  };
}
