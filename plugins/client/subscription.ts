import type {
  ClientError,
  ClientInfo,
  Publication,
  SdkClient,
  SdkSubscription,
  StreamPosition,
  SubscribedContext,
  SubscriptionEvents,
} from "./types.ts";

/** What a store hears of a channel. */
export interface ChannelListener {
  /** The connection is away, or not there yet. */
  subscribing(): void;
  /** It is subscribed, for the first time or again. */
  subscribed(context: SubscribedContext, subscription: SdkSubscription): void;
  /** An attempt has failed. If it is not final, the SDK tries again. */
  failed(error: ClientError, final: boolean): void;
  publication?(publication: Publication): void;
  join?(info: ClientInfo): void;
  leave?(info: ClientInfo): void;
}

/** One subscription of the SDK, for all stores of a channel. */
interface SharedSubscription {
  subscription: SdkSubscription;
  joinLeave: boolean;
  readonly listeners: Set<ChannelListener>;
  /** While it is subscribed. */
  subscribed: SubscribedContext | undefined;
  position: StreamPosition | undefined;
}

const subscriptionsByClient = new WeakMap<SdkClient, Map<string, SharedSubscription>>();

/** Listens to a channel. All listeners share one subscription, which ends with the last. */
export function joinChannel(
  client: SdkClient,
  channel: string,
  listener: ChannelListener,
  { joinLeave = false } = {},
): () => void {
  const all = subscriptionsByClient.get(client) ?? new Map<string, SharedSubscription>();
  subscriptionsByClient.set(client, all);
  let shared = all.get(channel);
  try {
    if (shared === undefined) {
      const subscription = client.newSubscription(channel, { joinLeave });
      shared = { subscription, joinLeave, listeners: new Set(), subscribed: undefined, position: undefined };
      all.set(channel, shared);
      listenTo(shared);
    } else if (joinLeave && !shared.joinLeave) renew(client, channel, shared);
  } catch (error) {
    // The app has subscribed to the channel by itself, and the SDK allows it once.
    listener.failed({ code: 0, message: String((error as Error).message ?? error) }, true);
    return () => {};
  }
  const joined = shared;
  joined.listeners.add(listener);
  if (joined.subscribed !== undefined) listener.subscribed(joined.subscribed, joined.subscription);
  else queueMicrotask(() => begin(joined));
  return () => {
    if (!joined.listeners.delete(listener) || joined.listeners.size > 0) return;
    all.delete(channel);
    endings.get(joined.subscription)?.();
    client.removeSubscription(joined.subscription);
  };
}

/** Subscribes a moment later, when all stores of a component are there: one of them may want joins and leaves. */
function begin({ subscription, listeners }: SharedSubscription): void {
  if (listeners.size > 0 && subscription.state === "unsubscribed") subscription.subscribe();
}

/** Stops listening to a subscription, and ends it. */
const endings = new WeakMap<SdkSubscription, () => void>();

/** A subscription cannot be changed to get joins and leaves, so another one continues from its position. */
function renew(client: SdkClient, channel: string, shared: SharedSubscription): void {
  endings.get(shared.subscription)?.();
  client.removeSubscription(shared.subscription);
  const since = shared.position;
  shared.subscribed = undefined;
  shared.joinLeave = true;
  shared.subscription = client.newSubscription(channel, { joinLeave: true, ...(since && { since }) });
  listenTo(shared);
}

function listenTo(shared: SharedSubscription): void {
  const { subscription } = shared;
  const tell = (what: (listener: ChannelListener) => void) => [...shared.listeners].forEach(what);
  const listeners: SubscriptionEvents = {
    subscribing() {
      shared.subscribed = undefined;
      tell((listener) => listener.subscribing());
    },
    subscribed(context) {
      shared.position = context.streamPosition ?? shared.position;
      shared.subscribed = context;
      tell((listener) => listener.subscribed(context, subscription));
      // For those that come later it is old.
      shared.subscribed = { wasRecovering: false, recovered: false };
    },
    unsubscribed({ code, reason }) {
      shared.subscribed = undefined;
      tell((listener) => listener.failed({ code, message: reason }, true));
    },
    error: ({ error: { code, message } }) => tell((listener) => listener.failed({ code, message }, false)),
    publication(publication) {
      const { offset } = publication;
      if (offset !== undefined && shared.position !== undefined) {
        shared.position = { ...shared.position, offset };
      }
      tell((listener) => listener.publication?.(publication));
    },
    join: ({ info }) => tell((listener) => listener.join?.(info)),
    leave: ({ info }) => tell((listener) => listener.leave?.(info)),
  };
  const events = Object.keys(listeners) as (keyof SubscriptionEvents)[];
  for (const event of events) subscription.on(event, listeners[event]);
  endings.set(subscription, () => {
    for (const event of events) subscription.off(event, listeners[event]);
    subscription.unsubscribe();
  });
}
