/**
 * What a client that has signed in can ask for. Each method reads its parameters, calls a service, and gives the
 * result as the reply is to carry it.
 *
 * @module
 */

import { type Clock, type Connection, type MaybePromise, PlugboardError } from "../../../core/mod.ts";
import type { Client, HistoryQuery, SubscribeRequest } from "../../channels.ts";
import type { Presence } from "../../presence.ts";
import type { Rpc } from "../../rpc.ts";
import { costly, Disconnection, disconnects } from "./codes.ts";
import { historyResult, lifetime, object, presenceResult, subscribeResult } from "./encoding.ts";
import { type Fields, filled, malformed, position, recovery, text, whole, within, yes } from "./fields.ts";
import type { CentrifugeAccess } from "./sign_in.ts";

/** The services behind the methods. */
export interface Services {
  readonly presence: Pick<Presence, "list" | "count"> | undefined;
  readonly rpc: Pick<Rpc, "call"> | undefined;
  readonly access: CentrifugeAccess | undefined;
  /** Takes messages that belong to no channel. */
  readonly onMessage: ((data: unknown, client: Client) => MaybePromise<void>) | undefined;
  /** Most publications in one answer. */
  readonly maxHistory: number;
  clock(): Clock;
}

/** Who asks. */
export interface Caller {
  readonly conn: Connection;
  readonly client: Client;
  readonly services: Services;
  /** Answers; for methods whose answer must leave at a certain moment. */
  reply(id: number, method: string, result: string): void;
  /** Renews the sign-in; gives the result. */
  refresh(params: Fields): Promise<string>;
}

/** The result as JSON text, or nothing where there is no answer or it was given already. */
type Result = string | undefined;

/** One method. */
export interface Method {
  run(caller: Caller, params: Fields, id: number): MaybePromise<Result>;
  /** Later commands of the client need not wait for it. */
  readonly beside?: true;
  /** It is not answered, and carries no id. */
  readonly silent?: true;
}

/** The bit in a subscribe's `flag` by which the SDK asks for an error instead of a gap. */
const REJECT_UNRECOVERED = 2;

/** The methods by name. */
export const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["publish", { run: publish, beside: true }],
  ["rpc", { run: rpc, beside: true }],
  ["send", { run: send, beside: true, silent: true }],
  ["subscribe", { run: subscribe }],
  ["unsubscribe", { run: unsubscribe }],
  ["presence", { run: presence }],
  ["presence_stats", { run: presenceStats }],
  ["history", { run: history }],
  ["refresh", { run: (caller, params) => caller.refresh(params) }],
  ["sub_refresh", { run: subRefresh }],
]);

async function publish({ client }: Caller, params: Fields): Promise<Result> {
  const channel = filled(params, "channel");
  if (whole(params, "type") !== 0) throw new PlugboardError("permission_denied", "There are no map channels");
  await client.publish(channel, params.data);
  return "{}";
}

async function rpc({ client, conn, services }: Caller, params: Fields): Promise<Result> {
  if (services.rpc === undefined) {
    throw new PlugboardError("not_available", "There are no methods to call");
  }
  const value = await services.rpc.call(text(params, "method"), params.data, {
    identity: client.identity,
    conn,
  });
  return object(value !== undefined && `"data":${JSON.stringify(value)}`);
}

async function send({ client, services }: Caller, params: Fields): Promise<undefined> {
  if (services.onMessage === undefined) {
    throw new Disconnection(disconnects.notAvailable, "The client sent a message that nobody takes");
  }
  await services.onMessage(params.data, client);
}

async function subscribe(caller: Caller, params: Fields, id: number): Promise<undefined> {
  const { client, services: { access, clock } } = caller;
  const channel = filled(params, "channel");
  const request = subscribeRequest(params);
  const token = text(params, "token");
  const proven = access === undefined || token === ""
    ? undefined
    : await verified(access, token, channel, client);
  await client.subscribe(channel, { ...request, ...proven }, (subscribed) => {
    caller.reply(id, "subscribe", subscribeResult(subscribed, clock().now()));
  });
}

function subscribeRequest(params: Fields): SubscribeRequest {
  const type = whole(params, "type");
  if (type === 4) throw new PlugboardError("not_available", "There are no polled channels");
  if (type !== 0) throw new PlugboardError("permission_denied", "There are no map channels");
  if (within(params, "tf") !== undefined) throw new PlugboardError("bad_request", "There are no tag filters");
  // A known kind of delta that is not granted is no error: full publications are always fine.
  if (!["", "fossil"].includes(text(params, "delta"))) throw malformed("delta");
  return {
    ...recovery(params),
    mustRecover: (whole(params, "flag") & REJECT_UNRECOVERED) !== 0,
    recoverable: yes(params, "recoverable"),
    positioned: yes(params, "positioned"),
    joinLeave: yes(params, "join_leave"),
  };
}

async function verified(
  access: CentrifugeAccess,
  token: string,
  channel: string,
  client: Client,
): Promise<SubscribeRequest> {
  try {
    const { identity: { user }, id } = client;
    return await access.verifySubscription(token, { channel, user, client: id });
  } catch (error) {
    throw costly(error, { token_mismatch: disconnects.invalidToken });
  }
}

function unsubscribe({ client }: Caller, params: Fields): Result {
  // Also for a channel that was not subscribed: an error would cost the SDK its connection.
  client.unsubscribe(filled(params, "channel"));
  return "{}";
}

function presence({ client, services }: Caller, params: Fields): Result {
  const channel = filled(params, "channel");
  return presenceResult(presenceOf(services, client, channel).list(channel));
}

function presenceStats({ client, services }: Caller, params: Fields): Result {
  const channel = filled(params, "channel");
  const { clients, users } = presenceOf(services, client, channel).count(channel);
  return `{"num_clients":${clients},"num_users":${users}}`;
}

function presenceOf(
  { presence }: Services,
  client: Client,
  channel: string,
): Pick<Presence, "list" | "count"> {
  client.check("presence", channel);
  if (presence === undefined) throw new PlugboardError("not_available", "There is no presence");
  return presence;
}

async function history({ client, services: { maxHistory } }: Caller, params: Fields): Promise<Result> {
  const channel = filled(params, "channel");
  const limit = whole(params, "limit");
  const since = within(params, "since");
  const query: HistoryQuery = {
    limit: limit < 0 ? maxHistory : Math.min(limit, maxHistory),
    reverse: yes(params, "reverse"),
    ...(since !== undefined && { since: position(since) }),
  };
  return historyResult(await client.history(channel, query));
}

async function subRefresh({ client, services }: Caller, params: Fields): Promise<Result> {
  const channel = filled(params, "channel");
  const token = text(params, "token");
  const { access, clock } = services;
  const subscription = client.subscriptions.get(channel);
  if (subscription === undefined) throw new PlugboardError("permission_denied", "Not subscribed");
  if (token === "") throw new PlugboardError("bad_request", "The token is missing");
  if (access === undefined || subscription.expiresAt === undefined) throw malformed("sub_refresh");
  try {
    const { grant } = await verified(access, token, channel, client);
    subscription.expiresAt = grant?.expiresAt;
    return object(lifetime(subscription.expiresAt, clock().now()));
  } catch (error) {
    // An error that says "expired" would end the subscription for good; a reconnect brings a fresh token.
    const { invalidToken, subscriptionExpired } = disconnects;
    throw costly(error, { invalid_token: invalidToken, token_expired: subscriptionExpired });
  }
}
