/**
 * Encodes and decodes messages. Payloads pass as text, so that they arrive as they were sent.
 *
 * @module
 */

import { exceedsBytes, type Message, PlugboardError } from "../../../core/mod.ts";
import type { ChannelEncoder, ClientInfo, History, Publication, Subscribed } from "../../channels.ts";
import type { Present } from "../../presence.ts";
import { encodeOnce } from "../../shared/encode_once.ts";
import { memberText } from "../../shared/json_text.ts";
import { Payload } from "../../shared/payload.ts";
import { invalid } from "./codes.ts";
import type { ClientMessage, MessageData, MessageType } from "./messages.ts";

/** A message from a client, with its text. */
export interface ReceivedMessage extends ClientMessage {
  readonly text: string;
}

/** Unique within this process, which is enough to tell messages apart. */
let sent = 0;
const prefix = crypto.randomUUID().slice(0, 8);
const quote: (text: string) => string = JSON.stringify;

/** Encodes a message; without an `id` it gets a new one. */
export function encode<Type extends MessageType>(
  type: Type,
  channel: string,
  data: MessageData[Type],
  id?: string,
): string {
  return encodeText(type, channel, JSON.stringify(data) ?? "null", id);
}

/** Encodes a message whose data is JSON text. */
export function encodeText(type: MessageType, channel: string, data: string, id = newId()): string {
  return `{"id":${quote(id)},"timestamp":${Date.now()},"type":${quote(type)},"channel":${
    quote(channel)
  },"data":${data}}`;
}

function encodePublication(channel: string, publication: Publication): string {
  const { payload, time, offset, info } = publication;
  const head = `{"id":"${newId()}","timestamp":${time},"type":${quote(typeOf(publication))}`;
  const position = offset > 0 ? `,"offset":${offset}` : "";
  const publisher = info === undefined || info.user === "" ? "" : `,"userId":${quote(info.user)}`;
  return `${head},"channel":${quote(channel)},"data":${payload.text}${position}${publisher}}`;
}

function newId(): string {
  return `msg-${prefix}-${++sent}`;
}

/** Decodes a client's message; throws if it is not one. */
export function decode(data: Message, maxBytes: number): ReceivedMessage {
  if (typeof data !== "string") throw invalid("A message must be text, not bytes");
  if (exceedsBytes(data, maxBytes)) {
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
  const { type, id, channel = "", data: content } = message as Record<string, unknown>;
  if (typeof type !== "string") throw invalid('"type" must be a string');
  if (typeof channel !== "string") throw invalid('"channel" must be a string');
  if (id !== undefined && typeof id !== "string" && typeof id !== "number") {
    throw invalid('"id" must be a string or a number');
  }
  return { type, channel, data: content, id: id === undefined ? undefined : String(id), text: data };
}

/** Returns a message's data as the client sent it. */
export function payloadOf({ text }: ReceivedMessage): Payload {
  return Payload.fromValidJson(memberText(text, "data")!);
}

/** Encodes the events of channels. Without presence, a join or leave tells the number of `clients` of this protocol. */
export function encoder(clients: () => number): ChannelEncoder {
  const user =
    (type: "user:joined" | "user:left") => (channel: string, info: ClientInfo, people = clients()) =>
      encode(type, channel, {
        userId: info.user,
        username: nameOf(info),
        clientId: info.client,
        connectedUsers: people,
      });
  return {
    publication: encodePublication,
    join: user("user:joined"),
    leave: user("user:left"),
    subscribed: (channel, subscribed) => encodeSubscribed(channel, subscribed),
    unsubscribed: (channel, { code, reason }) => encode("unsubscribed", channel, { code, reason }),
  };
}

/** Encodes a new subscription. */
export function encodeSubscribed(channel: string, subscribed: Subscribed, id?: string): string {
  const { position, wasRecovering, recovered, data } = subscribed;
  const members = [
    position && `"position":${JSON.stringify(position)}`,
    wasRecovering && `"recovered":${recovered}`,
    data !== undefined && `"snapshot":${data}`,
  ];
  return encodeText("subscribed", channel, `{${members.filter((member) => member).join(",")}}`, id);
}

/** Encodes the reply to `history`. */
export function encodeHistory(channel: string, { publications, top }: History, id?: string): string {
  const { offset, epoch } = top;
  const data = `{"offset":${offset},"epoch":${quote(epoch)},"publications":${pageText(publications)}}`;
  return encodeText("history", channel, data, id);
}

const pageText = encodeOnce((publications: History["publications"]) => {
  const list = publications.map((publication) => {
    const { offset, time, payload, info } = publication;
    const publisher = info === undefined ? "" : `,"userId":${quote(info.user)}`;
    const type = quote(typeOf(publication));
    return `{"offset":${offset},"timestamp":${time},"type":${type},"data":${payload.text}${publisher}}`;
  });
  return `[${list.join(",")}]`;
});

/** Encodes the reply to `presence`. */
export function encodePresence(channel: string, clients: readonly Present[], id?: string): string {
  return encodeText("presence", channel, presenceText(clients), id);
}

const presenceText = encodeOnce((clients: readonly Present[]) =>
  JSON.stringify({ clients } satisfies MessageData["presence"])
);

/** An event of the server has its type as a tag, which clients cannot set. */
function typeOf({ tags }: Publication): MessageType {
  return (tags?.type ?? "message") as MessageType;
}

/** The name in the user's token, or else the id. */
function nameOf({ user, connInfo }: ClientInfo): string {
  if (connInfo !== undefined) {
    const info: unknown = JSON.parse(connInfo);
    if (typeof info === "object" && info !== null && "name" in info && typeof info.name === "string") {
      return info.name;
    }
  }
  return user;
}
