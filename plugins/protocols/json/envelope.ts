/**
 * Envelopes: how messages are written and read.
 *
 * @module
 */

import { type Message, PlugboardError } from "../../../core/mod.ts";
import type { ChannelEncoder, ClientInfo, Publication, Subscribed } from "../../channels.ts";
import { exceeds } from "../../shared/bytes.ts";
import { invalid } from "./codes.ts";
import type { ClientMessage, MessageData, MessageType, SubscribedData } from "./messages.ts";

/** Unique within this process, which is all that telling messages apart needs. */
let sent = 0;
const prefix = crypto.randomUUID().slice(0, 8);

/** A message as text; without an `id` it gets one of its own. */
export function write<Type extends MessageType>(
  type: Type,
  channel: string,
  data: MessageData[Type],
  id: string = newId(),
): string {
  return JSON.stringify({ id, timestamp: Date.now(), type, channel, data });
}

/** The same for what was published, the data of which is JSON text already. */
function writePublication(channel: string, publication: Publication): string {
  const { payload, time, offset, info } = publication;
  const head = `{"id":"${newId()}","timestamp":${time},"type":${JSON.stringify(typeOf(publication))}`;
  const place = offset > 0 ? `,"offset":${offset}` : "";
  const publisher = info === undefined || info.user === "" ? "" : `,"userId":${JSON.stringify(info.user)}`;
  return `${head},"channel":${JSON.stringify(channel)},"data":${payload.text}${place}${publisher}}`;
}

function newId(): string {
  return `msg-${prefix}-${++sent}`;
}

/** Reads a client's message; throws what is wrong with it. */
export function read(data: Message, maxBytes: number): ClientMessage {
  if (typeof data !== "string") throw invalid("A message must be text, not bytes");
  if (exceeds(data, maxBytes)) {
    throw new PlugboardError("limit_exceeded", `A message may have at most ${maxBytes} bytes`);
  }
  let message: unknown;
  try {
    message = JSON.parse(data);
  } catch {
    throw invalid("A message must be a JSON object");
  }
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    throw invalid("A message must be a JSON object");
  }
  const { type, id, channel = "", data: payload } = message as Record<string, unknown>;
  if (typeof type !== "string") throw invalid('"type" must be a string');
  if (typeof channel !== "string") throw invalid('"channel" must be a string');
  if (id !== undefined && typeof id !== "string" && typeof id !== "number") {
    throw invalid('"id" must be a string or a number');
  }
  return { type, channel, data: payload, id: id === undefined ? undefined : String(id) };
}

/** How the channel service's events are written here. `usersIn` counts who is in a channel. */
export function encoder(usersIn: (channel: string) => number): ChannelEncoder {
  const user = (type: "user:joined" | "user:left") => (channel: string, info: ClientInfo) =>
    write(type, channel, {
      userId: info.user,
      username: nameOf(info),
      clientId: info.client,
      connectedUsers: usersIn(channel),
    });
  return {
    publication: writePublication,
    join: user("user:joined"),
    leave: user("user:left"),
    subscribed: (channel, subscribed) => write("subscribed", channel, subscribedData(subscribed)),
    unsubscribed: (channel, { code, reason }) => write("unsubscribed", channel, { code, reason }),
  };
}

/** What a client is told of a new subscription. */
export function subscribedData({ position, wasRecovering, recovered, data }: Subscribed): SubscribedData {
  return {
    ...(position !== undefined && { position }),
    ...(wasRecovering && { recovered }),
    ...(data !== undefined && { snapshot: JSON.parse(data) }),
  };
}

/** Server events carry their type as a tag, which no client can set. */
export function typeOf({ tags }: Publication): MessageType {
  return (tags?.type ?? "message") as MessageType;
}

/** What to call somebody: the name their token tells, else their id. */
function nameOf({ user, connInfo }: ClientInfo): string {
  if (connInfo !== undefined) {
    const info: unknown = JSON.parse(connInfo);
    if (typeof info === "object" && info !== null && "name" in info && typeof info.name === "string") {
      return info.name;
    }
  }
  return user;
}
