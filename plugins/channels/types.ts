/**
 * Clients and their subscriptions, as protocols and other plugins see them.
 *
 * @module
 */

import type { CloseCode, Connection, MaybePromise, Message } from "../../core/mod.ts";
import type { Identity, Verdict } from "../shared/identity.ts";
import type { Payload } from "../shared/payload.ts";
import type { ChannelAction, Namespace } from "./namespace.ts";
import type { Delta } from "./deltas.ts";
import type {
  ClientInfo,
  History,
  HistoryQuery,
  Position,
  Publication,
  Published,
  PublishOptions,
} from "./publications.ts";
import type { CompiledFilter, TagFilter } from "./tag_filter.ts";

/** How a protocol encodes the events of channels. */
export interface ChannelEncoder {
  /** Returns the code that closes the connection of a client, if the encoding cannot express the payload. */
  refusal?(payload: Payload): CloseCode | undefined;
  /** Whether publications can carry a number in place of the channel's name. */
  readonly channelIds?: boolean;
  /** Encodes a publication. Without a `form`, with the channel's name and the payload as it is. */
  publication(channel: string, publication: Publication, form?: PushForm): Message;
  /** Encodes a join. `people` is the number of people in the channel now; absent without presence. */
  join(channel: string, info: ClientInfo, people?: number): Message;
  /** Encodes a leave. */
  leave(channel: string, info: ClientInfo, people?: number): Message;
  /** Encodes a subscription that the server made. */
  subscribed(channel: string, subscribed: Subscribed): Message;
  /** Encodes the end of a subscription by the server. */
  unsubscribed(channel: string, why: UnsubscribeCode): Message;
}

/** How a publication is sent to subscribers that asked for deltas, or for numbers in place of channel names. */
export interface PushForm {
  /** The number that stands for the channel's name; 0 to send the name. */
  readonly channelId: number;
  /** Whether the subscriber gets deltas. In JSON, Centrifuge's SDKs then expect every payload in a text. */
  readonly deltas: boolean;
  /** Leads from the publication that the subscriber received before to this one; absent to send the payload. */
  readonly delta?: Delta;
}

/** Why the server ends a subscription. From 2500 on, Centrifuge's SDKs subscribe again. */
export interface UnsubscribeCode {
  /** For programs. */
  readonly code: number;
  /** For people. */
  readonly reason: string;
}

/** What a protocol gives for a client that has signed in. */
export interface ClientOptions {
  /** The client's identity. */
  readonly identity: Identity;
  /** How the client's protocol encodes. */
  readonly encoder: ChannelEncoder;
  /** The secret of the client's session, if its protocol has one. */
  readonly session?: string | undefined;
  /** Called when the server changes the end of the client's sign-in. */
  refreshed?(expiresAt: number | undefined): void;
}

/** What a client asks for when it subscribes. */
export interface SubscribeRequest {
  /** Recover what was published after this position. */
  readonly recover?: Position | undefined;
  /** Refuse with `unrecoverable_position` when the recovery fails, instead of starting with a gap. */
  readonly mustRecover?: boolean;
  /** Whether the client wants to recover later. */
  readonly recoverable?: boolean;
  /** Whether the server detects gaps. */
  readonly positioned?: boolean;
  /** Whether the client receives joins and leaves. */
  readonly joinLeave?: boolean;
  /** The format of the deltas that the client understands. A client with a filter gets none. */
  readonly delta?: "fossil" | undefined;
  /** The client gets only the publications that match. */
  readonly filter?: TagFilter | undefined;
  /** Whether the client understands numbers in place of the channel's name. */
  readonly compact?: boolean;
  /** What the client tells a backend that decides about the subscription. */
  readonly data?: Payload | undefined;
  /** Proof that allows this subscription, whatever the rules say. */
  readonly grant?: SubscribeGrant;
  /** Whether the server subscribes the client. */
  readonly serverSide?: boolean;
  /**
   * Whether the client resumes a subscription that the server made for an earlier connection. It needs the client's own
   * permission.
   */
  readonly resumed?: boolean;
}

/** What a subscription token says. */
export interface SubscribeGrant {
  /** What other clients see, as JSON text. */
  readonly chanInfo?: string;
  /** When the subscription ends, in milliseconds since 1970. */
  readonly expiresAt?: number;
  /** Data for the client, sent with the reply, as JSON text. */
  readonly data?: string;
  /** Whether the client can recover, even if it may not read the history. */
  readonly recoverable?: boolean;
  /** Whether the server detects gaps, even if the client may not read the history. */
  readonly positioned?: boolean;
  /** Whether the client receives joins and leaves, even if it may not list who is present. */
  readonly joinLeave?: boolean;
  /** What the client may do while it is subscribed, whatever the rules say. */
  readonly allow?: readonly ChannelAction[];
}

/** The answer to a subscribe. */
export interface Subscribed {
  /** Whether the client can recover later. */
  readonly recoverable: boolean;
  /** Whether the server detects gaps. */
  readonly positioned: boolean;
  /** The client's position: after a recovery, the one it recovers from. Absent without positioning. */
  readonly position?: Position;
  /** Whether the client asked for a recovery. */
  readonly wasRecovering: boolean;
  /** Whether `publications` is everything that the client missed. */
  readonly recovered: boolean;
  /** Why a recovery failed, for operators. */
  readonly lost?: string;
  /** What the client missed and its filter lets pass; empty unless recovered. */
  readonly publications: readonly Publication[];
  /**
   * Leads from the one before to each of `publications`, where that is shorter than the payload. Absent if the client
   * gets no deltas.
   */
  readonly deltas?: readonly (Delta | undefined)[];
  /** The number that will stand for the channel's name; absent if the name is sent. */
  readonly channelId?: number;
  /** How often the client publishes at most: once in so many milliseconds. Absent without a limit. */
  readonly publishDebounceMs?: number;
  /** Data for the client, as JSON text. */
  readonly data?: string;
  /** When the subscription ends, in milliseconds since 1970. */
  readonly expiresAt?: number;
}

/** A client's subscription. */
export interface Subscription {
  /** The channel's name. */
  readonly channel: string;
  /** The channel's namespace. */
  readonly namespace: Namespace;
  /** The client as others see it. */
  info: ClientInfo;
  /** Whether the server detects gaps. */
  readonly positioned: boolean;
  /** Whether the client can recover later. */
  readonly recoverable: boolean;
  /** Whether the client receives joins and leaves. */
  readonly joinLeave: boolean;
  /** Whether the client receives deltas. */
  readonly delta: boolean;
  /** Which publications the client receives; absent if all. */
  readonly filter: CompiledFilter | undefined;
  /** The number that stands for the channel's name in publications; 0 if the name is sent. */
  readonly channelId: number;
  /** Whether the server subscribed the client, or an earlier connection of it. */
  readonly serverSide: boolean;
  /** Whether a grant or the server allowed it, whatever the rules say. */
  readonly granted: boolean;
  /** What the client may do, whatever the rules say. */
  readonly allow: readonly ChannelAction[] | undefined;
  /** When the subscription began, in milliseconds since 1970. */
  readonly since: number;
  /** When it ends, in milliseconds since 1970. */
  expiresAt: number | undefined;
}

/** A connection that has signed in. */
export interface Client {
  /** The client's connection. */
  readonly conn: Connection;
  /** How the client's protocol encodes. */
  readonly encoder: ChannelEncoder;
  /** The client as others see it. */
  readonly info: ClientInfo;
  /** The connection's id. */
  readonly id: string;
  /** Who the client is and what it may do. */
  readonly identity: Identity;
  /** The secret of its session, if its protocol has one. */
  readonly session: string | undefined;
  /** The subscriptions by channel. */
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  /**
   * Subscribes. Calls `reply` once, at the moment from which publications follow: what it sends leaves before them.
   * Rejects without calling it when the subscription is refused; does nothing when the connection has closed. No promise
   * where nothing waits: then it throws.
   */
  subscribe(
    channel: string,
    request: SubscribeRequest,
    reply: (subscribed: Subscribed) => void,
  ): MaybePromise<void>;
  /** Subscribes to several channels with one reply, which leaves out those that are refused. */
  subscribeAll(
    requests: ReadonlyMap<string, SubscribeRequest>,
    reply: (subscribed: ReadonlyMap<string, Subscribed>) => void,
  ): MaybePromise<void>;
  /** Ends a subscription at the client's request; returns `false` if there is none. */
  unsubscribe(channel: string): boolean;
  /** Publishes for the client, if it may. No promise where the broker answers at once: then it throws. */
  publish(channel: string, data: unknown, options?: PublishOptions): MaybePromise<Published>;
  /** Reads the history, if the client may. No promise where the broker answers at once: then it throws. */
  history(channel: string, query?: HistoryQuery): MaybePromise<History>;
  /** Decides whether the client may do something, and names the rule that decides. */
  verdict(action: ChannelAction, channel: string): Verdict;
  /** Throws unless the client may do something. */
  check(action: ChannelAction, channel: string): void;
  /** Replaces the identity after a refresh; ends the subscriptions that it does not allow. */
  identify(identity: Identity): void;
  /** Replaces the grant of a subscription after a refresh: when it ends, and what others see. */
  renew(channel: string, grant: SubscribeGrant): void;
  /** Ends a subscription and sends the reason to the client; returns `false` if there is none. */
  expel(channel: string, why: UnsubscribeCode): boolean;
}
