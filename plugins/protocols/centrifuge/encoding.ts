/**
 * Writing the protocol's JSON. Zero values are left out, with the exceptions its SDKs rely on; payloads are put in
 * as the text they were stringified to once.
 *
 * @module
 */

import type { ChannelEncoder, ClientInfo, History, Publication, Subscribed } from "../../channels.ts";
import type { Present } from "../../presence.ts";
import type { ErrorReply } from "./codes.ts";

/** The server's ping; the client's pong looks the same. */
export const PING = "{}";

/** The SDKs' timers end at 2^31 ms; a client that is told less renews a little early. */
const MAX_TTL_SECONDS = 2_147_000;

const quote: (text: string) => string = JSON.stringify;

/** A reply with the method's result. */
export function reply(id: number, method: string, result: string): string {
  return `{"id":${id},"${method}":${result}}`;
}

/** A reply that refuses. */
export function refusalOf(id: number, { code, message, temporary }: ErrorReply): string {
  const more = temporary ? `,"temporary":true` : "";
  return `{"id":${id},"error":{"code":${code},"message":${quote(message)}${more}}}`;
}

/** An object of those members that are there. */
export function object(...members: (string | false | undefined)[]): string {
  return `{${members.filter((member) => member).join(",")}}`;
}

/** How long something lasts, for the client that has to renew it. */
export function lifetime(expiresAt: number | undefined, now: number): string | undefined {
  if (expiresAt === undefined) return undefined;
  const seconds = Math.ceil((expiresAt - now) / 1000);
  return `"expires":true,"ttl":${Math.min(Math.max(seconds, 1), MAX_TTL_SECONDS)}`;
}

/** A publication, live or from the log. */
export function publication({ payload, info, offset, tags }: Publication): string {
  let text = `{"data":${payload.text}`;
  if (info !== undefined) text += `,"info":${clientInfo(info)}`;
  if (offset > 0) text += `,"offset":${offset}`;
  if (tags !== undefined) text += `,"tags":${JSON.stringify(tags)}`;
  return text + "}";
}

function clientInfo({ user, client, connInfo, chanInfo }: ClientInfo): string {
  let text = `{"user":${quote(user)},"client":${quote(client)}`;
  if (connInfo !== undefined) text += `,"conn_info":${connInfo}`;
  if (chanInfo !== undefined) text += `,"chan_info":${chanInfo}`;
  return text + "}";
}

function list(publications: readonly Publication[]): string {
  return `[${publications.map(publication).join(",")}]`;
}

/** The answer to a subscribe, also within the answer to a connect. */
export function subscribeResult(subscribed: Subscribed, now: number): string {
  const { wasRecovering, recovered, publications, expiresAt } = subscribed;
  return object(
    lifetime(expiresAt, now),
    ...standing(subscribed),
    wasRecovering && `"was_recovering":true`,
    recovered && `"recovered":true`,
    publications.length > 0 && `"publications":${list(publications)}`,
  );
}

function standing({ recoverable, positioned, position, data }: Subscribed): (string | false | undefined)[] {
  return [
    recoverable && `"recoverable":true`,
    positioned && `"positioned":true`,
    position && `"epoch":${quote(position.epoch)}`,
    position && position.offset > 0 && `"offset":${position.offset}`,
    data !== undefined && `"data":${data}`,
  ];
}

/** The answer to a connect; over a stream, with what messages beside it must carry. */
export function connectResult(
  introduction: string,
  subs: ReadonlyMap<string, Subscribed>,
  pingSeconds: number,
  stream: { readonly secret: string; readonly node: string } | undefined,
  now: number,
): string {
  const entries = Array.from(subs, ([channel, one]) => `${quote(channel)}:${subscribeResult(one, now)}`);
  return object(
    introduction,
    entries.length > 0 && `"subs":{${entries.join(",")}}`,
    `"ping":${pingSeconds},"pong":true`,
    stream && `"session":"${stream.secret}","node":"${stream.node}"`,
  );
}

/** The answer to a history. The SDK reads all three fields, also when there is nothing. */
export function historyResult({ publications, top: { offset, epoch } }: History): string {
  return `{"publications":${list(publications)},"epoch":${quote(epoch)},"offset":${offset}}`;
}

/** The answer to a presence. What an update said about somebody stands where their token says nothing. */
export function presenceResult(people: readonly Present[]): string {
  const entries = people.map(({ client, user, info, data }) => {
    const chanInfo = info?.chanInfo ?? (data === undefined ? undefined : JSON.stringify(data));
    const shown = { user, client, ...info, ...(chanInfo !== undefined && { chanInfo }) };
    return `${quote(client)}:${clientInfo(shown)}`;
  });
  return `{"presence":{${entries.join(",")}}}`;
}

/** A message that belongs to no channel. */
export function messagePush(json: string): string {
  return `{"push":{"message":{"data":${json}}}}`;
}

/** The server has extended or ended the sign-in. */
export function refreshPush(expiresAt: number | undefined, now: number): string {
  return `{"push":{"refresh":${object(lifetime(expiresAt, now))}}}`;
}

/** How a stream says what a WebSocket says with its close frame. */
export function disconnectPush(code: number, reason: string): string {
  return `{"push":{"disconnect":{"code":${code},"reason":${quote(reason)}}}}`;
}

function push(channel: string, kind: string, body: string): string {
  return `{"push":{"channel":${quote(channel)},"${kind}":${body}}}`;
}

/** The pushes of channels. One for all clients: it has no state, so a message to many is written once. */
export const encoder: ChannelEncoder = {
  publication: (channel, published) => push(channel, "pub", publication(published)),
  join: (channel, info) => push(channel, "join", `{"info":${clientInfo(info)}}`),
  leave: (channel, info) => push(channel, "leave", `{"info":${clientInfo(info)}}`),
  subscribed: (channel, subscribed) => push(channel, "subscribe", object(...standing(subscribed))),
  unsubscribed: (channel, { code, reason }) =>
    push(channel, "unsubscribe", `{"code":${code},"reason":${quote(reason)}}`),
};
