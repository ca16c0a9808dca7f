/**
 * The Protobuf encoding. Frames are messages after their lengths; payloads are bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Framing, Message } from "../../../core/mod.ts";
import type { ClientInfo, Delta, Publication, Subscribed } from "../../channels.ts";
import type { Present } from "../../presence.ts";
import { encodeOnce } from "../../shared/encode_once.ts";
import { Payload } from "../../shared/payload.ts";
import type { Codec, Command, Result, SubscribeResult } from "./codec.ts";
import { malformed } from "./codes.ts";
import { readCommand } from "./commands.ts";
import { infoOf } from "./present.ts";
import { decode, decodeDelimited } from "./protobuf/decode.ts";
import { encode, encodeDelimited, type Fields } from "./protobuf/encode.ts";
import { schema } from "./protobuf/schema.ts";

const SUBPROTOCOL = "centrifuge-protobuf";
const CONTENT_TYPE = "application/octet-stream";

const framing: Framing<"any"> = {
  accepts: "any",
  format: Symbol(SUBPROTOCOL),
  join: (messages) => Buffer.concat(messages as Uint8Array[]),
};

/** The Protobuf encoding. */
export const protobufCodec: Codec = {
  subprotocol: SUBPROTOCOL,
  framing,
  httpStream: {
    ...framing,
    accepts: "binary",
    contentType: CONTENT_TYPE,
    preamble: new Uint8Array(),
    encode: (frame) => frame as Uint8Array<ArrayBuffer>,
  },
  /** A message without fields. */
  ping: Uint8Array.of(0),
  chosenBy: ({ url, headers, protocol }) =>
    protocol === SUBPROTOCOL || headers.get("content-type") === CONTENT_TYPE || inQuery(url),

  *decode(frame): Generator<Command> {
    if (typeof frame === "string" || frame.length === 0) throw malformed("frame");
    for (const fields of decodeDelimited(schema.Command, frame)) yield readCommand(fields, payloadOf);
  },
  decodeEmulation(body) {
    const { session = "", node = "", data } = decode(schema.EmulationRequest, body as Uint8Array);
    return {
      session: session as string,
      node: node as string,
      frame: (data ?? new Uint8Array()) as Uint8Array,
    };
  },

  reply: (id, result) => reply({ id, [result.name]: resultFields(result) }),
  error: (id, { code, message, temporary }) => reply({ id, error: { code, message, temporary } }),

  // Without numbers for channels: SDKs that decode them as 64-bit objects do not find the channel.
  publication: (channel, publication, form) =>
    push({ channel, pub: publicationFields(publication, form?.delta) }),
  join: (channel, info) => push({ channel, join: { info: infoBytes(info) } }),
  leave: (channel, info) => push({ channel, leave: { info: infoBytes(info) } }),
  subscribed: (channel, subscribed) => push({ channel, subscribe: positionFields(subscribed) }),
  unsubscribed: (channel, { code, reason }) => push({ channel, unsubscribe: { code, reason } }),
  message: ({ content }) => push({ message: { data: content } }),
  refreshed: (ttl) => push({ refresh: expiry(ttl) }),
  disconnect: (code, reason) => push({ disconnect: { code, reason } }),
};

/** Whether the URL asks for Protobuf. */
function inQuery(url: string): boolean {
  if (!url.includes("protobuf")) return false;
  const query = new URL(url).searchParams;
  return query.get("format") === "protobuf" || query.get("cf_protocol") === "protobuf";
}

/** Methods get JSON as a value, and other bytes as bytes. In channels the namespace decides. */
function payloadOf(command: string, data: unknown): Payload {
  const payload = Payload.fromBytes(data as Uint8Array);
  return command === "publish" || payload.json === undefined ? payload : payload.asJson();
}

function reply(fields: Fields): Message {
  return encodeDelimited(schema.Reply, fields);
}

function push(fields: Fields): Message {
  return reply({ push: fields });
}

function resultFields(result: Result): Fields | Uint8Array {
  switch (result.name) {
    case "publish":
    case "unsubscribe":
      return {};
    case "subscribe":
      return subscribeFields(result);
    case "rpc":
      return { data: result.data?.content };
    case "history": {
      const { publications, top: { epoch, offset } } = result;
      return { publications: pageBytes(publications), epoch, offset };
    }
    case "presence":
      return presenceBytes(result.clients);
    case "presence_stats":
      return { num_clients: result.clients, num_users: result.users };
    case "refresh":
      return clientFields(result);
    case "sub_refresh":
      return expiry(result.ttl);
    case "connect":
      return connectFields(result);
  }
}

function connectFields({ data, subs, pingSeconds, pong, stream, ...client }: Result<"connect">): Fields {
  return {
    ...clientFields(client),
    data,
    subs: Object.fromEntries(Array.from(subs, ([channel, each]) => [channel, subscribeFields(each)])),
    ping: pingSeconds,
    pong,
    session: stream?.session,
    node: stream?.node,
  };
}

function clientFields({ client, ttl }: Pick<Result<"refresh">, "client" | "ttl">): Fields {
  return { client, version: "plugboard", ...expiry(ttl) };
}

function subscribeFields({ subscribed, ttl }: SubscribeResult): Fields {
  const { wasRecovering, recovered, publications, deltas, publishDebounceMs } = subscribed;
  return {
    ...expiry(ttl),
    ...positionFields(subscribed),
    publications: publications.map((each, i) => publicationFields(each, deltas?.[i])),
    recovered,
    was_recovering: wasRecovering,
    delta: deltas !== undefined,
    publish_debounce: publishDebounceMs,
  };
}

function positionFields({ recoverable, positioned, position, data }: Subscribed): Fields {
  const { epoch, offset } = position ?? {};
  return { recoverable, epoch, offset, positioned, data };
}

function publicationFields({ payload, info, offset, tags }: Publication, delta?: Delta): Fields {
  const data = delta?.bytes ?? payload.content;
  return { data, info: info && infoBytes(info), offset, tags, delta: delta !== undefined };
}

/** The copy does not keep the other messages of its buffer in memory. */
const infoBytes = encodeOnce((info: ClientInfo) => encode(schema.ClientInfo, infoFields(info)).slice());

function infoFields({ user, client, connInfo, chanInfo }: ClientInfo): Fields {
  return { user, client, conn_info: connInfo, chan_info: chanInfo };
}

const pageBytes = encodeOnce((page: readonly Publication[]) =>
  page.map((each) => encode(schema.Publication, publicationFields(each)))
);

const presenceBytes = encodeOnce((clients: readonly Present[]) =>
  encode(schema.PresenceResult, {
    presence: Object.fromEntries(clients.map((each) => [each.client, infoFields(infoOf(each))])),
  })
);

function expiry(ttl: number | undefined): Fields {
  return ttl === undefined ? {} : { expires: true, ttl };
}
