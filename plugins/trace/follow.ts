import type { Clock } from "../../core/mod.ts";
import type { ChannelExtension, Channels } from "../channels.ts";
import type { PlainWriter } from "../shared/plain.ts";

/** What to follow. With both fields, events must match both. */
export interface FollowTarget {
  /** A connection's id. */
  readonly client?: string;
  /** A channel's name. */
  readonly channel?: string;
}

/** An event of a client or channel. */
export interface FollowEvent {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** The type of the event. */
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
  /** The connection id; absent for the server's own publishes and for deliveries. */
  readonly client?: string;
  /** The channel's name. */
  readonly channel?: string;
  /** Details, depending on the event. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** An event whose details are not computed yet. */
type PendingEvent = Omit<FollowEvent, "time" | "detail"> & {
  /** Computes the details. Called only if a follower matches. */
  readonly detail: () => Record<string, unknown>;
  /** Returns whether the event also concerns this client. */
  readonly concerns?: (client: string) => boolean;
};

/** The followers. */
export interface Followers {
  /** The number of followers. */
  readonly size: number;
  /** Calls back for events of the target, without deliveries if asked. Returns a function that ends it. */
  add(
    target: FollowTarget,
    listener: (event: FollowEvent) => void,
    options?: { readonly deliveries?: boolean },
  ): () => void;
  /** Sends the event to the followers it matches. */
  emit(event: PendingEvent): void;
}

/**
 * Creates the list of followers. `watch` is called for the first one and returns a function that is called after the
 * last. `failed` reports a follower that threw.
 */
export function followers({ clock, watch, failed }: {
  clock: () => Clock;
  watch: () => () => void;
  failed: (error: unknown) => void;
}): Followers {
  const all = new Set<
    { target: FollowTarget; listener: (event: FollowEvent) => void; deliveries: boolean }
  >();
  let unwatch: (() => void) | undefined;

  return {
    get size() {
      return all.size;
    },
    add(target, listener, { deliveries = true } = {}) {
      const follower = { target, listener, deliveries };
      all.add(follower);
      unwatch ??= watch();
      return () => {
        if (!all.delete(follower) || all.size > 0) return;
        unwatch?.();
        unwatch = undefined;
      };
    },
    emit(pending) {
      let event: FollowEvent | undefined;
      for (const { listener, deliveries, target: { client, channel } } of all) {
        if (!deliveries && pending.event === "delivery") continue;
        if (channel !== undefined && channel !== pending.channel) continue;
        if (client !== undefined && client !== pending.client && !pending.concerns?.(client)) continue;
        try {
          listener(event ??= eventOf(pending, clock().wallTime()));
        } catch (error) {
          failed(error);
        }
      }
    },
  };
}

/** Spread members would cost as much as all else of an event. */
function eventOf({ event, client, channel, detail }: PendingEvent, time: number): FollowEvent {
  const about: { -readonly [Name in keyof FollowEvent]?: FollowEvent[Name] } = { time, event };
  if (client !== undefined) about.client = client;
  if (channel !== undefined) about.channel = channel;
  about.detail = detail();
  return about as FollowEvent;
}

/** Emits the events of channels. */
export function channelEvents(
  { emit }: Followers,
  channels: Pick<Channels, "clientOf">,
  writer: PlainWriter,
): ChannelExtension {
  return {
    name: "trace",
    joined({ id, identity }, { channel, serverSide, recoverable }) {
      const { user } = identity;
      emit({ event: "subscribe", client: id, channel, detail: () => ({ user, serverSide, recoverable }) });
    },
    recovered({ id }, channel, complete) {
      emit({ event: "recovered", client: id, channel, detail: () => ({ complete }) });
    },
    left({ id }, { channel }) {
      emit({ event: "unsubscribe", client: id, channel, detail: () => ({}) });
    },
    beforePublish({ channel, draft: { payload, tags, except }, client }) {
      const from = client?.id ?? except;
      const detail = () => ({
        data: writer.text(payload.text),
        ...(tags && { tags: writer.fields(tags, false) }),
      });
      emit({ event: "publish", ...(from !== undefined && { client: from }), channel, detail });
    },
    published({ channel, draft: { except } }, { offset, receivers, suppressed }) {
      const detail = () => ({ offset, receivers, ...(suppressed && { suppressed }) });
      emit({ event: "published", ...(except !== undefined && { client: except }), channel, detail });
    },
    delivered({ name: channel }, { payload, offset, except }, receivers) {
      emit({
        event: "delivery",
        channel,
        detail: () => ({ offset, receivers, data: writer.text(payload.text) }),
        concerns: (client) =>
          client !== except && channels.clientOf(client)?.subscriptions.has(channel) === true,
      });
    },
  };
}
