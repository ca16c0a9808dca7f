/**
 * The commands of a client that has signed in: each calls a service and returns the result.
 *
 * @module
 */

import {
  chain,
  type Clock,
  closeCodes,
  type Connection,
  type MaybePromise,
  PlugboardError,
} from "../../../core/mod.ts";
import type { Client, Subscribed, SubscribeRequest } from "../../channels.ts";
import type { Presence } from "../../presence.ts";
import type { Rpc } from "../../rpc.ts";
import { Payload } from "../../shared/payload.ts";
import type { Command, Result } from "./codec.ts";
import { asDisconnect, DisconnectError, disconnects, malformed } from "./codes.ts";
import type { CentrifugeAccess } from "./sign_in.ts";

/** The services behind the commands. */
export interface Services {
  readonly presence: Pick<Presence, "list" | "count"> | undefined;
  readonly rpc: Pick<Rpc, "call"> | undefined;
  readonly access: CentrifugeAccess | undefined;
  /** Receives messages that belong to no channel. */
  readonly onMessage: ((data: unknown, client: Client) => MaybePromise<void>) | undefined;
  /** Most publications in one history result. */
  readonly maxHistory: number;
  clock(): Clock;
}

/** The client that sent a command. */
export interface Caller {
  readonly conn: Connection;
  readonly client: Client;
  readonly services: Services;
  /** Replies at once, before publications that follow. */
  reply(id: number, result: Result): void;
  /** Renews the sign-in. */
  refresh(token: string): Promise<Result>;
}

/** The name of a command of a client that has signed in. */
export type MethodName = Exclude<Command["name"], "connect" | "pong">;

/** Commands that do not delay the client's later commands. */
export const concurrentMethods: ReadonlySet<MethodName> = new Set<MethodName>(["publish", "rpc", "send"]);

/** The SDKs' timers end at 2^31 ms; a client with a shorter lifetime only renews earlier. */
const MAX_TTL_SECONDS = 2_147_000;

/** The bits in a subscribe's `flag`: publications may carry a number, and an incomplete recovery is an error. */
const CHANNEL_IDS = 1;
const REJECT_UNRECOVERED = 2;

const PUBLISHED: Result = { name: "publish" };
const UNSUBSCRIBED: Result = { name: "unsubscribe" };

/** Each returns its result, or `undefined` if there is no reply or it was sent already. */
export const methods: {
  [Name in MethodName]: (caller: Caller, command: Command<Name>) => MaybePromise<Result | undefined>;
} = {
  publish({ client }, { channel, type, data }) {
    if (type !== 0) throw new PlugboardError("permission_denied", "There are no map channels");
    return chain(client.publish(channel, data), () => PUBLISHED);
  },
  rpc,
  send,
  subscribe,
  unsubscribe({ client }, { channel }) {
    // It succeeds without a subscription too: the SDK reconnects after an error.
    client.unsubscribe(channel);
    return UNSUBSCRIBED;
  },
  presence: (caller, { channel }) =>
    chain(presenceFor(caller, channel).list(channel), (clients) => ({ name: "presence", clients })),
  presence_stats: (caller, { channel }) =>
    chain(presenceFor(caller, channel).count(channel), (counts) => ({ name: "presence_stats", ...counts })),
  history,
  refresh: (caller, { token }) => caller.refresh(token),
  sub_refresh: refreshSubscription,
};

/** Seconds until something expires, as a client gets them. */
export function ttlOf(expiresAt: number | undefined, clock: Pick<Clock, "wallTime">): number | undefined {
  if (expiresAt === undefined) return undefined;
  return Math.min(Math.max(Math.ceil((expiresAt - clock.wallTime()) / 1000), 1), MAX_TTL_SECONDS);
}

async function rpc({ client, conn, services }: Caller, { method, data }: Command<"rpc">): Promise<Result> {
  if (services.rpc === undefined) {
    throw new PlugboardError("not_available", "There are no methods to call");
  }
  const value = await services.rpc.call(method, data?.value(), { identity: client.identity, conn });
  if (value === undefined) return { name: "rpc", data: undefined };
  try {
    return { name: "rpc", data: Payload.of(value) };
  } catch (cause) {
    throw new Error(`The method ${method} returned something that is not JSON`, { cause }); // not the client's error
  }
}

async function send({ client, services }: Caller, { data }: Command<"send">): Promise<undefined> {
  if (services.onMessage === undefined) {
    throw new DisconnectError(disconnects.notAvailable, "The client sent a message without a channel");
  }
  await services.onMessage(data?.value(), client);
}

function subscribe(caller: Caller, command: Command<"subscribe">): MaybePromise<undefined> {
  const { client, services: { access, clock } } = caller;
  const { id, channel, token } = command;
  const request = subscribeRequest(command);
  const grant = access === undefined || token === "" ? undefined : verify(access, token, channel, client);
  const reply = (subscribed: Subscribed) => {
    const ttl = ttlOf(subscribed.expiresAt, clock());
    caller.reply(id, { name: "subscribe", subscribed, ttl });
  };
  return chain(
    grant,
    (granted) => {
      const all = granted === undefined ? request : { ...request, ...granted };
      return chain(client.subscribe(channel, all, reply), () => undefined);
    },
  );
}

function subscribeRequest(command: Command<"subscribe">): SubscribeRequest {
  const { type, filter, delta, recover, data, flag, recoverable, positioned, joinLeave } = command;
  if (type === 4) throw new PlugboardError("not_available", "There are no polled channels");
  if (type !== 0) throw new PlugboardError("permission_denied", "There are no map channels");
  // A known kind of delta that is not granted is no error: full publications are always valid.
  if (delta !== "" && delta !== "fossil") throw malformed("delta");
  return {
    recover,
    data,
    delta: delta === "" ? undefined : delta,
    filter,
    mustRecover: (flag & REJECT_UNRECOVERED) !== 0,
    compact: (flag & CHANNEL_IDS) !== 0,
    recoverable,
    positioned,
    joinLeave,
  };
}

async function verify(
  access: CentrifugeAccess,
  token: string,
  channel: string,
  { id, identity: { user } }: Client,
): Promise<SubscribeRequest> {
  try {
    return await access.verifySubscription(token, { channel, user, client: id });
  } catch (error) {
    throw asDisconnect(error, { token_mismatch: closeCodes.invalidToken });
  }
}

function presenceFor({ client, services }: Caller, channel: string): Pick<Presence, "list" | "count"> {
  client.check("presence", channel);
  if (services.presence === undefined) throw new PlugboardError("not_available", "There is no presence");
  return services.presence;
}

function history(
  caller: Caller,
  { channel, limit, since, reverse }: Command<"history">,
): MaybePromise<Result> {
  const { client, services: { maxHistory } } = caller;
  const most = limit < 0 ? maxHistory : Math.min(limit, maxHistory);
  const page = client.history(channel, { limit: most, reverse, ...(since && { since }) });
  return chain(page, (read) => ({ name: "history", ...read }));
}

async function refreshSubscription(caller: Caller, command: Command<"sub_refresh">): Promise<Result> {
  const { client, services: { access, clock } } = caller;
  const { channel, token } = command;
  if (!client.subscriptions.has(channel)) throw new PlugboardError("permission_denied", "Not subscribed");
  if (token === "") throw new PlugboardError("bad_request", "The token is missing");
  if (access === undefined) return { name: "sub_refresh", ttl: undefined };
  try {
    const { grant = {} } = await verify(access, token, channel, client);
    client.renew(channel, grant);
    return { name: "sub_refresh", ttl: ttlOf(grant.expiresAt, clock()) };
  } catch (error) {
    // The SDK ends the subscription for good after the error "token expired". If it reconnects, it fetches a new token.
    throw asDisconnect(error, {
      invalid_token: closeCodes.invalidToken,
      token_expired: closeCodes.subscriptionExpired,
    });
  }
}
