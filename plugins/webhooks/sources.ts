/**
 * Where events come from: sign-ins, channels and presence.
 *
 * @module
 */

import type { Closed, Connection } from "../../core/mod.ts";
import type { ChannelExtension, Client, Namespace } from "../channels.ts";
import type { PresenceEvent } from "../presence.ts";
import { eventText } from "./event_text.ts";
import type { Receiver } from "./receiver.ts";
import type { Occupancy, OccupancyEvents, WebhookEvent } from "./types.ts";

/** Which events a receiver gets. */
export interface Choice {
  readonly receiver: Receiver;
  readonly events: ReadonlySet<WebhookEvent>;
  readonly namespaces: ReadonlySet<string> | undefined;
}

/** What sources work with. */
export interface SourceParts {
  /** The receivers now. */
  choices(): readonly Choice[];
  now(): number;
  namespaceOf(channel: string): Namespace;
  /** Decides for all nodes whether a channel is occupied. */
  readonly occupancy: Pick<Occupancy, "set"> | undefined;
}

/** Turns what happens into events. */
export interface Sources {
  /** A client has connected, and signed in where there is a sign-in. */
  connected(conn: Connection, user: string | undefined): void;
  closed(conn: Connection, why: Closed): void;
  present(event: PresenceEvent): void;
  readonly extension: ChannelExtension;
  readonly occupancy: Omit<OccupancyEvents, "log">;
}

/** Makes the sources. */
export function sources({ choices, now, namespaceOf, occupancy }: SourceParts): Sources {
  /** The users of connections that were announced. */
  const users = new Map<Connection, string | undefined>();

  function emit(
    type: WebhookEvent,
    channel: string | undefined,
    members: () => Record<string, unknown>,
  ): void {
    let text: string | undefined;
    for (const { receiver, events, namespaces } of choices()) {
      if (!events.has(type)) continue;
      if (channel !== undefined && namespaces !== undefined && !isIn(namespaces, channel)) continue;
      receiver.accept(text ??= eventText(type, now(), members()));
    }
  }

  function isIn(namespaces: ReadonlySet<string>, channel: string): boolean {
    return namespaces.has(namespaceOf(channel).name) || namespaces.has(prefixOf(channel));
  }

  const subscriber = ({ id, identity: { user } }: Client, channel: string) => () => ({
    client: id,
    user,
    channel,
  });

  const occupied = (channel: string) => emit("occupied", channel, () => ({ channel }));
  const vacated = (channel: string) => emit("vacated", channel, () => ({ channel }));

  return {
    occupancy: { occupied, vacated },
    connected(conn, user) {
      if (users.has(conn)) return;
      users.set(conn, user);
      emit("connect", undefined, () => ({ client: conn.id, user, protocol: conn.endpoint.name }));
    },
    closed(conn, { code, reason, by }) {
      if (!users.has(conn)) return;
      const user = users.get(conn);
      users.delete(conn);
      emit("disconnect", undefined, () => {
        return { client: conn.id, user, protocol: conn.endpoint.name, code, reason, by };
      });
    },
    present({ type: action, channel, present: { client, user, data } }) {
      emit("presence", channel, () => ({ action, channel, client, user, data }));
    },
    extension: {
      name: "webhooks",
      joined: (client, { channel }) => emit("subscribe", channel, subscriber(client, channel)),
      left: (client, { channel }) => emit("unsubscribe", channel, subscriber(client, channel)),
      occupied: (channel) => occupancy === undefined ? occupied(channel) : occupancy.set(channel, true),
      vacated: (channel) => occupancy === undefined ? vacated(channel) : occupancy.set(channel, false),
      recovered(client, channel, complete) {
        if (complete || namespaceOf(channel).recoveryMode !== "cache") return;
        emit("cache_miss", channel, subscriber(client, channel));
      },
      published({ channel, client, draft: { payload, tags } }, { offset, epoch, suppressed }) {
        if (suppressed !== undefined) return;
        const { id, identity } = client ?? {};
        emit("publish", channel, () => {
          return { channel, client: id, user: identity?.user, data: payload, tags, offset, epoch };
        });
      },
    },
  };
}

/** The part of a name before the first `:`, without the prefix of private channels. */
function prefixOf(channel: string): string {
  const colon = channel.indexOf(":");
  return colon === -1 ? "" : channel.slice(channel.startsWith("$") ? 1 : 0, colon);
}
