/**
 * Following one client or one channel through the server, while it happens.
 *
 * @module
 */

import type { Clock } from "../../core/mod.ts";
import type { ChannelExtension, Channels } from "../channels.ts";
import type { PlainWriter } from "./plain.ts";

/** Whom to follow; of both, what concerns the two. */
export interface FollowTarget {
  /** A connection's id. */
  readonly client?: string;
  /** A channel's name. */
  readonly channel?: string;
}

/** Something that happened. */
export interface FollowEvent {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** What it was. */
  readonly event:
    | "open"
    | "message"
    | "close"
    | "subscribe"
    | "recovered"
    | "unsubscribe"
    | "publish"
    | "published"
    | "delivery";
  /** The connection that did it; absent when the server did, and with a delivery. */
  readonly client?: string;
  /** Where. */
  readonly channel?: string;
  /** What else there is to say, by the event. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** What is told of an event before anybody follows it. */
type Happening = Omit<FollowEvent, "time" | "detail"> & {
  /** Called only when somebody follows. */
  readonly detail: () => Record<string, unknown>;
  /** Further clients that it concerns. */
  readonly concerns?: (client: string) => boolean;
};

/** Those who follow. */
export interface Followers {
  /** How many there are. */
  readonly size: number;
  /** Calls back for what concerns the target. Returns the function that ends it. */
  add(target: FollowTarget, listener: (event: FollowEvent) => void): () => void;
  /** Tells those who follow. */
  tell(happening: Happening): void;
}

/** What the list needs. */
export interface FollowerParts {
  readonly clock: () => Clock;
  /** Begins to look at what happens, when the first one comes; what it returns ends it, with the last. */
  readonly watch: () => () => void;
  /** A listener has failed. */
  readonly failed: (error: unknown) => void;
}

/** Makes the list. */
export function followers({ clock, watch, failed }: FollowerParts): Followers {
  const all = new Map<(event: FollowEvent) => void, FollowTarget>();
  let unwatch: (() => void) | undefined;

  return {
    get size() {
      return all.size;
    },
    add(target, listener) {
      // A function of its own, so that the same listener may follow twice.
      const own = (event: FollowEvent) => listener(event);
      all.set(own, target);
      unwatch ??= watch();
      return () => {
        if (!all.delete(own) || all.size > 0) return;
        unwatch?.();
        unwatch = undefined;
      };
    },
    tell({ detail, concerns, ...about }) {
      let event: FollowEvent | undefined;
      for (const [listener, { client, channel }] of all) {
        if (channel !== undefined && channel !== about.channel) continue;
        if (client !== undefined && client !== about.client && !concerns?.(client)) continue;
        try {
          listener(event ??= { time: clock().now(), ...about, detail: detail() });
        } catch (error) {
          failed(error);
        }
      }
    },
  };
}

/** Tells followers what happens in the channels. */
export function channelEvents(
  { tell }: Followers,
  channels: Pick<Channels, "clientOf">,
  writer: PlainWriter,
): ChannelExtension {
  return {
    name: "trace",
    joined({ id, identity }, { channel, serverSide, recoverable }) {
      const { user } = identity;
      tell({ event: "subscribe", client: id, channel, detail: () => ({ user, serverSide, recoverable }) });
    },
    recovered({ id }, channel, complete) {
      tell({ event: "recovered", client: id, channel, detail: () => ({ complete }) });
    },
    left({ id }, { channel }) {
      tell({ event: "unsubscribe", client: id, channel, detail: () => ({}) });
    },
    beforePublish(channel, { json, tags, except }, client) {
      const from = client?.id ?? except;
      const detail = () => ({ data: writer.text(json), ...(tags && { tags }) });
      tell({ event: "publish", ...(from !== undefined && { client: from }), channel, detail });
    },
    published(channel, { except }, { offset, receivers }) {
      const detail = () => ({ offset, receivers });
      tell({ event: "published", ...(except !== undefined && { client: except }), channel, detail });
    },
    delivered(channel, { json, offset, except }, receivers) {
      tell({
        event: "delivery",
        channel,
        detail: () => ({ offset, receivers, data: writer.text(json) }),
        concerns: (client) =>
          client !== except && channels.clientOf(client)?.subscriptions.has(channel) === true,
      });
    },
  };
}
