/**
 * The words of the channel service: publications, positions, subscriptions, and what plugins may add.
 *
 * @module
 */

import type { Connection, MaybePromise, Message, Nothing } from "../../core/mod.ts";
import type { Identity } from "../shared/identity.ts";

/** A place in a channel's log. Offsets count from 1; a new epoch means that the log was lost. */
export interface Position {
  /** Counts from 1; 0 is before the first. */
  readonly offset: number;
  /** Which log it is a place in. */
  readonly epoch: string;
}

/** Who published, joined or is present. */
export interface ClientInfo {
  /** The user's id; empty for somebody anonymous. */
  readonly user: string;
  /** The connection's id. */
  readonly client: string;
  /** What the user's token says about them, as JSON text. */
  readonly connInfo?: string;
  /** What the subscription's token says about them, as JSON text. */
  readonly chanInfo?: string;
}

/** Something that was published. The payload stays the JSON text it was stringified to once. */
export interface Publication {
  /** Its place in the log; 0 where the channel keeps none. */
  readonly offset: number;
  /** The payload, as JSON text without line breaks. */
  readonly json: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Who published; absent when the server did. */
  readonly info?: ClientInfo;
  /** Short labels beside the payload. */
  readonly tags?: Readonly<Record<string, string>>;
  /** A client that does not get it. */
  readonly except?: string;
}

/** What a publish came to. */
export interface Published extends Position {
  /** How many it was handed to on this node; a callback counts as one. */
  readonly receivers: number;
}

/** Publications of a channel, and where its log stands. */
export interface History {
  /** What was read. */
  readonly publications: readonly Publication[];
  /** The latest offset, and the epoch. */
  readonly top: Position;
}

/** Which publications to read. */
export interface HistoryQuery {
  /** How many at most; 0 reads none, only the position. @default {no limit} */
  readonly limit?: number;
  /** Those after this position, or before it when reversed. An empty epoch matches any. */
  readonly since?: Position;
  /** The newest first. */
  readonly reverse?: boolean;
}

/** How a protocol writes what the channel service has to say. */
export interface ChannelEncoder {
  /** Something was published. */
  publication(channel: string, publication: Publication): Message;
  /** Somebody joined. */
  join(channel: string, info: ClientInfo): Message;
  /** Somebody left. */
  leave(channel: string, info: ClientInfo): Message;
  /** The server subscribed the client. */
  subscribed(channel: string, subscribed: Subscribed): Message;
  /** The server ended a subscription. */
  unsubscribed(channel: string, why: UnsubscribeCode): Message;
}

/** Why the server ends a subscription. At 2500 and above, Centrifuge's SDKs subscribe again by themselves. */
export interface UnsubscribeCode {
  /** For programs. */
  readonly code: number;
  /** For people. */
  readonly reason: string;
}

/** What a protocol tells of a client that has signed in. */
export interface ClientOptions {
  /** Who it is. */
  readonly identity: Identity;
  /** How its protocol writes. */
  readonly encoder: ChannelEncoder;
  /** The server extended or ended the client's sign-in. */
  refreshed?(expiresAt: number | undefined): void;
}

/** What a client asks for when it subscribes. */
export interface SubscribeRequest {
  /** Send what was published after this position. */
  readonly recover?: Position;
  /** Refuse with `unrecoverable_position` when that cannot be done, rather than begin with a gap. */
  readonly mustRecover?: boolean;
  /** Whether what is missed can be had later. */
  readonly recoverable?: boolean;
  /** Whether gaps are noticed. */
  readonly positioned?: boolean;
  /** Whether it hears of joins and leaves. */
  readonly joinLeave?: boolean;
  /** A proof that allows this subscription, whatever the rules say; see `expiresAt` and `chanInfo`. */
  readonly grant?: SubscribeGrant;
  /** The server subscribes the client, which did not ask. */
  readonly serverSide?: boolean;
}

/** What a subscription token says. */
export interface SubscribeGrant {
  /** What others may see, as JSON text. */
  readonly chanInfo?: string;
  /** When it ends, in milliseconds since 1970. */
  readonly expiresAt?: number;
  /** Handed to the client with the reply, as JSON text. */
  readonly data?: string;
}

/** The answer to a subscribe. */
export interface Subscribed {
  /** Whether what is missed can be had later. */
  readonly recoverable: boolean;
  /** Whether gaps are noticed. */
  readonly positioned: boolean;
  /** Where the client stands: after a recovery, where it asked from. Absent without positioning. */
  readonly position?: Position;
  /** Whether a recovery was asked for. */
  readonly wasRecovering: boolean;
  /** Whether all that was missed is here. */
  readonly recovered: boolean;
  /** What was missed; empty unless recovered. */
  readonly publications: readonly Publication[];
  /** Something for the client, as JSON text. */
  readonly data?: string;
  /** When it ends, in milliseconds since 1970. */
  readonly expiresAt?: number;
}

/** A client's subscription. */
export interface Subscription {
  /** The channel's name. */
  readonly channel: string;
  /** Who it is, as others see it. */
  readonly info: ClientInfo;
  /** Whether gaps are noticed. */
  readonly positioned: boolean;
  /** Whether what is missed can be had later. */
  readonly recoverable: boolean;
  /** Whether it hears of joins and leaves. */
  readonly joinLeave: boolean;
  /** Whether the server subscribed the client. */
  readonly serverSide: boolean;
  /** When it began, in milliseconds since 1970. */
  readonly since: number;
  /** When it ends, in milliseconds since 1970. */
  expiresAt: number | undefined;
}

/** A connection that has signed in, as the channel service knows it. */
export interface Client {
  /** Its connection. */
  readonly conn: Connection;
  /** How this client's protocol writes. */
  readonly encoder: ChannelEncoder;
  /** As others see it. */
  readonly info: ClientInfo;
  /** The connection's id. */
  readonly id: string;
  /** Who it is. */
  readonly identity: Identity;
  /** What it is subscribed to, by channel. */
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  /**
   * Subscribes. `reply` is called once, at the very moment from which publications follow: what it sends leaves
   * before any of them. Rejects, without having called it, when the subscription is refused; does nothing more
   * when the connection has ended meanwhile.
   */
  subscribe(
    channel: string,
    request: SubscribeRequest,
    reply: (subscribed: Subscribed) => void,
  ): Promise<void>;
  /** The same for several at once, with one reply; those that are refused are left out. */
  subscribeAll(
    requests: ReadonlyMap<string, SubscribeRequest>,
    reply: (subscribed: ReadonlyMap<string, Subscribed>) => void,
  ): Promise<void>;
  /** Ends a subscription at the client's wish; `false` if there was none. */
  unsubscribe(channel: string): boolean;
  /** Publishes in the client's name, if it may. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /** Reads the log, if the client may. */
  history(channel: string, query?: HistoryQuery): Promise<History>;
  /** Throws unless the client may do this with the channel. */
  check(action: ChannelAction, channel: string): void;
  /** Replaces the identity, after a refresh; subscriptions it does not allow any more end. */
  identify(identity: Identity): void;
  /** Ends a subscription from the server's side, and says so; `false` if there was none. */
  expel(channel: string, why: UnsubscribeCode): boolean;
}

/** What can be done with a channel. */
export type ChannelAction = "subscribe" | "publish" | "presence" | "history";

/** A message to be published, before it has a place in the log. */
export interface Draft {
  /** The payload, as JSON text. */
  readonly json: string;
  /** Who it is, as others see it. */
  readonly info?: ClientInfo;
  /** Short labels beside the payload. */
  readonly tags?: Readonly<Record<string, string>>;
  /** A client that is not to get it: the one it comes from. */
  readonly except?: string;
}

/** How to publish. */
export interface PublishOptions {
  /** Short labels beside the payload. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Only to those who are there now: it gets no place in the log. @default {false} */
  readonly ephemeral?: boolean;
  /** A client that is not to get it, by its connection's id. Goes with `ephemeral`: whoever recovers gets all. */
  readonly except?: string;
}

/** What other plugins may do at the turns of a channel's life. A throw refuses, where there is something to refuse. */
export interface ChannelExtension {
  /** The extending plugin, for the log. */
  readonly name: string;
  /** Before a client is subscribed; may refuse by a throw, or add data to the reply. */
  beforeSubscribe?(
    client: Client,
    channel: string,
    request: SubscribeRequest,
  ): MaybePromise<SubscribeAddition | void>;
  /** Before anything is published; `client` is absent when the server does. Not `async`: it runs for every publish. */
  beforePublish?(channel: string, draft: Draft, client: Client | undefined): Nothing;
  /** Something was published from this node, and is as safe as the broker promises. */
  published?(channel: string, draft: Draft, published: Published): Nothing;
  /** A publication was handed to this node's subscribers. */
  delivered?(channel: string, publication: Publication, receivers: number): Nothing;
  /** Before a client reads a log, or who is there; a throw refuses. Not `async`. */
  beforeRead?(client: Client, action: "history" | "presence", channel: string): Nothing;
  /** A client is subscribed; its reply is not sent yet. */
  joined?(client: Client, subscription: Subscription): Nothing;
  /** A client that was away asked for what it missed, and got all of it or was told that this is impossible. */
  recovered?(client: Client, channel: string, complete: boolean): Nothing;
  /** A client's subscription has ended. */
  left?(client: Client, subscription: Subscription): Nothing;
  /** A client has another identity; who decided about its subscriptions decides again. */
  identified?(client: Client): Nothing;
  /** The first subscriber of a channel on this node. */
  occupied?(channel: string): Nothing;
  /** The last one has left. */
  vacated?(channel: string): Nothing;
}

/** What an extension adds to the reply of a subscribe. */
export interface SubscribeAddition {
  /**
   * Called at the moment the subscription takes effect: gives JSON text for the client. With an `offset`, it holds
   * everything published up to there, and only what comes after it follows; nothing is given to who recovers all.
   */
  data?(subscribed: Subscribed): { readonly json: string; readonly offset?: number } | undefined;
}

/** What one channel is doing. */
export interface ChannelStats {
  /** The channel's name. */
  readonly channel: string;
  /** Clients on this node. */
  readonly subscribers: number;
  /** Callbacks on this node. */
  readonly callbacks: number;
  /** Publications handed out here since the channel was occupied. */
  readonly publications: number;
  /** When the latest was, in milliseconds since 1970. */
  readonly lastPublishedAt: number | undefined;
}
