/**
 * What live queries do when clients subscribe: decide, and give the rows.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { ChannelExtension, SubscribeAddition } from "../channels.ts";
import type { Identity } from "../shared/identity.ts";
import { isClientSql, parseClientSql } from "./free_sql.ts";
import type { Instance } from "./instance.ts";
import { LIVE } from "./params.ts";
import type { RemoteSource } from "./query.ts";
import type { QueryRegistry } from "./registry.ts";

/** How a subscription ends that was not to be ended by the client: at 2500, SDKs come back by themselves. */
export const CODES = { denied: 2000, failed: 2100, removed: 2100, renewed: 2500 };

/** What is asked when clients subscribe; `remote` runs their own SQL. */
export function extension(
  running: () => QueryRegistry,
  remote: RemoteSource | undefined,
): ChannelExtension {
  /** Before anything is looked at. */
  function check(identity: Identity): void {
    if (!identity.can("query", "*")) throw new PlugboardError("permission_denied", "Permission denied");
  }

  async function openSql(channel: string): Promise<Instance> {
    if (remote !== undefined) return await running().openRemote(parseClientSql(channel), remote);
    throw new PlugboardError("not_available", "This server takes no SQL from clients");
  }

  return {
    name: "live_queries",
    beforeSubscribe({ identity }, channel, { serverSide }) {
      if (!channel.startsWith(LIVE)) return;
      if (isClientSql(channel)) {
        check(identity);
        return openSql(channel).then(snapshotOf);
      }
      const open = serverSide ? running().instances.find(channel) : undefined;
      return snapshotOf(open ?? running().open(channel, identity));
    },
    joined(client, { channel }) {
      if (!channel.startsWith(LIVE) || running().instances.find(channel) !== undefined) return;
      // It was ended while the subscription was being made. Once that is answered, it can be made anew.
      queueMicrotask(() => client.expel(channel, { code: CODES.renewed, reason: "The query was ended" }));
    },
    identified(client) {
      const { identity } = client;
      for (const { channel, serverSide } of client.subscriptions.values()) {
        if (!channel.startsWith(LIVE) || serverSide) continue;
        try {
          if (isClientSql(channel)) check(identity);
          else running().open(channel, identity);
        } catch {
          client.expel(channel, { code: CODES.denied, reason: "permission denied" });
        }
      }
    },
  };
}

function snapshotOf(instance: Instance): SubscribeAddition {
  return {
    data: ({ recovered }) => recovered ? undefined : { json: instance.snapshot, offset: instance.offset },
  };
}
