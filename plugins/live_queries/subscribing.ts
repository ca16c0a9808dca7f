/**
 * Subscribing: decides who may follow a query, and adds its rows to the reply.
 *
 * @module
 */

import { chain, PlugboardError } from "../../core/mod.ts";
import type { ChannelExtension, SubscribeAddition } from "../channels.ts";
import type { Identity } from "../shared/identity.ts";
import { LIVE } from "../shared/live_channels.ts";
import { isClientSql, parseClientSql } from "./ad_hoc_sql.ts";
import type { LiveQueryEngine } from "./engine.ts";
import { rowsOf } from "./rows.ts";
import { END_CODES, type Instance } from "./query.ts";
import type { IsolatedSource } from "./source.ts";

/** Extends the channels. `engine` throws while it cannot be used; `clientSql` runs the SQL of clients. */
export function subscribing(
  engine: () => LiveQueryEngine,
  clientSql: IsolatedSource | undefined,
): ChannelExtension {
  async function openClientSql(channel: string, user: string): Promise<Instance> {
    if (clientSql === undefined) {
      throw new PlugboardError("not_available", "This server takes no SQL from clients");
    }
    const { name, id, sql, params } = parseClientSql(channel);
    const query = engine().catalog.adHoc(name, sql, clientSql);
    return await engine().openIsolated(channel, { query, id, params }, user);
  }

  return {
    name: "live_queries",
    beforeSubscribe({ identity }, channel, { serverSide }) {
      if (!channel.startsWith(LIVE)) return;
      if (isClientSql(channel)) {
        checkClientSql(identity);
        return openClientSql(channel, identity.user).then(snapshotOf);
      }
      const { broker, catalog } = engine();
      const opened = serverSide ? broker.find(channel) : undefined;
      if (opened !== undefined) return snapshotOf(opened);
      return chain(catalog.request(channel, identity), (request) => {
        const instance = engine().open(channel, request);
        return chain(rowsOf(instance), () => snapshotOf(instance));
      });
    },
    joined(client, { channel }) {
      if (!channel.startsWith(LIVE) || engine().broker.find(channel) !== undefined) return;
      // The instance has ended meanwhile. Once the client has its reply, it can subscribe again.
      queueMicrotask(() => client.expel(channel, { code: END_CODES.renewed, reason: "The query was ended" }));
    },
    identified(client) {
      for (const { channel, serverSide, granted } of client.subscriptions.values()) {
        if (!channel.startsWith(LIVE) || serverSide && granted) continue;
        const expel = () => void client.expel(channel, { code: 2000, reason: "permission denied" });
        try {
          if (isClientSql(channel)) checkClientSql(client.identity);
          else void Promise.resolve(engine().catalog.request(channel, client.identity)).catch(expel);
        } catch {
          expel();
        }
      }
    },
  };
}

/** Comes first, so that nobody without the permission learns anything about the SQL. */
function checkClientSql(identity: Identity): void {
  if (!identity.can("query", "*")) throw new PlugboardError("permission_denied", "Permission denied");
}

function snapshotOf(instance: Instance): SubscribeAddition {
  return {
    data: ({ recovered }) => recovered ? undefined : { json: instance.snapshot, offset: instance.offset },
  };
}
