/**
 * The JSON encoding. Zero values are left out, except those that the SDKs rely on. Payloads are inserted as text.
 *
 * @module
 */

import type { Message } from "../../../core/mod.ts";
import type { ClientInfo, Delta, Publication, PushForm, Subscribed } from "../../channels.ts";
import type { Present } from "../../presence.ts";
import { encodeOnce } from "../../shared/encode_once.ts";
import { memberText, valueTexts } from "../../shared/json_text.ts";
import { Payload } from "../../shared/payload.ts";
import type { Codec, Command, Result, StreamFraming, SubscribeResult } from "./codec.ts";
import { DisconnectError, disconnects, malformed } from "./codes.ts";
import { readCommand, readEmulation } from "./commands.ts";
import { infoOf } from "./present.ts";

const SUBPROTOCOL = "centrifuge-json";
/** Ping and pong look the same. */
const PING = "{}";
/** Shared by all transports, so that a message is encoded once for all of them. */
const format = Symbol(SUBPROTOCOL);
const utf8 = new TextDecoder("utf-8", { fatal: true });
const quote: (text: string) => string = JSON.stringify;

/** The JSON encoding. */
export const jsonCodec: Codec = {
  subprotocol: SUBPROTOCOL,
  framing: { accepts: "any", format, join: (messages) => messages.join("\n") },
  httpStream: lineStream(format),
  sse: eventStream(format),
  ping: PING,
  chosenBy: ({ protocol }) => protocol === SUBPROTOCOL,

  decode(frame) {
    const text = typeof frame === "string" ? frame : textOf(frame);
    const only = text.includes("\n") ? undefined : commandIn(text);
    return only === undefined ? decodeLines(text) : [only];
  },
  decodeEmulation(body) {
    return readEmulation(JSON.parse(body as string));
  },

  reply: (id, result) => `{"id":${id},"${result.name}":${resultText(result)}}`,
  error(id, { code, message, temporary }) {
    const flag = temporary ? `,"temporary":true` : "";
    return `{"id":${id},"error":{"code":${code},"message":${quote(message)}${flag}}}`;
  },

  refusal: ({ json }) => json === undefined ? disconnects.inappropriateProtocol : undefined,
  channelIds: true,
  publication(channel, publication, form) {
    const body = publicationText(publication, form);
    return form === undefined || form.channelId === 0
      ? push(channel, "pub", body)
      : `{"push":{"id":${form.channelId},"pub":${body}}}`;
  },
  join: (channel, info) => push(channel, "join", `{"info":${infoText(info)}}`),
  leave: (channel, info) => push(channel, "leave", `{"info":${infoText(info)}}`),
  subscribed: (channel, subscribed) => push(channel, "subscribe", object(positionMembers(subscribed))),
  unsubscribed: (channel, { code, reason }) =>
    push(channel, "unsubscribe", `{"code":${code},"reason":${quote(reason)}}`),
  message: (data) => `{"push":{"message":{"data":${jsonOf(data)}}}}`,
  refreshed: (ttl) => `{"push":{"refresh":${object(expiry(ttl))}}}`,
  disconnect: (code, reason) => `{"push":{"disconnect":{"code":${code},"reason":${quote(reason)}}}}`,
};

/** SDKs put each command on a line. Other clients may use several lines, or put several on one. */
function* decodeLines(text: string): Generator<Command> {
  let start = 0;
  do {
    const end = text.indexOf("\n", start) + 1 || text.length;
    const command = commandIn(text.slice(start, end));
    if (command === undefined) return yield* decodeValues(text.slice(start), start === 0);
    yield command;
    start = end;
  } while (start < text.length);
}

function* decodeValues(text: string, required: boolean): Generator<Command> {
  for (const value of valueTexts(text)) {
    const command = commandIn(value);
    if (command === undefined) throw malformed("command");
    yield command;
    required = false;
  }
  if (required) throw malformed("frame");
}

/** Decodes the command of a text; `undefined` if that is not one JSON value. */
function commandIn(text: string): Command | undefined {
  if (text === PING) return { name: "pong", id: 0 };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return readCommand(value, (name) => Payload.fromValidJson(memberText(text, name, "data")!));
}

/** Some clients send text in binary frames. */
export function textOf(frame: Uint8Array): string {
  try {
    return utf8.decode(frame);
  } catch {
    throw malformed("frame");
  }
}

/** Frames on an HTTP stream. */
export function lineStream(format: symbol): StreamFraming {
  return streamFraming(format, "application/x-ndjson", "", "", "\n");
}

/** Frames as server-sent events. The empty line makes proxies forward the headers at once. */
export function eventStream(format: symbol): StreamFraming {
  return streamFraming(format, "text/event-stream", "\r\n", "data: ", "\n\n");
}

/** Text frames with something before and after each. The latest frame is kept, because many streams get the same. */
function streamFraming(
  format: symbol,
  type: string,
  preamble: string,
  before: string,
  after: string,
): StreamFraming {
  const encoder = new TextEncoder();
  let last: Message = "";
  let bytes = encoder.encode(before + after);
  return {
    accepts: "text",
    format,
    join: (messages) => messages.join(after + before),
    contentType: `${type}; charset=utf-8`,
    preamble: encoder.encode(preamble),
    encode(frame) {
      if (frame !== last) {
        bytes = encoder.encode(before + frame + after);
        last = frame;
      }
      return bytes;
    },
  };
}

function resultText(result: Result): string {
  switch (result.name) {
    case "publish":
    case "unsubscribe":
      return "{}";
    case "subscribe":
      return subscribeText(result);
    case "rpc":
      return object(result.data && `"data":${jsonOf(result.data)}`);
    case "history": {
      // The SDK reads all three fields.
      const { publications, top: { epoch, offset } } = result;
      return `{"publications":${pageText(publications)},"epoch":${quote(epoch)},"offset":${offset}}`;
    }
    case "presence":
      return presenceText(result.clients);
    case "presence_stats":
      return `{"num_clients":${result.clients},"num_users":${result.users}}`;
    case "refresh":
      return object(clientMembers(result));
    case "sub_refresh":
      return object(expiry(result.ttl));
    case "connect":
      return connectText(result);
  }
}

/** The result of a connect. */
export function connectText(result: Result<"connect">): string {
  const { data, subs, pingSeconds, pong, stream } = result;
  return object(
    clientMembers(result),
    data !== undefined && `"data":${data}`,
    subs.size > 0 && `"subs":${subscriptionsText(subs)}`,
    pingSeconds !== undefined && `"ping":${pingSeconds}`,
    pong && `"pong":true`,
    stream && `"session":"${stream.session}","node":"${stream.node}"`,
  );
}

function subscriptionsText(subs: ReadonlyMap<string, SubscribeResult>): string {
  return object(...Array.from(subs, ([channel, each]) => `${quote(channel)}:${subscribeText(each)}`));
}

function clientMembers({ client, ttl }: Pick<Result<"refresh">, "client" | "ttl">): string {
  const members = `"client":"${client}","version":"plugboard"`;
  return ttl === undefined ? members : `${members},${expiry(ttl)}`;
}

function subscribeText({ subscribed, ttl }: SubscribeResult): string {
  const { wasRecovering, recovered, publications, deltas, channelId, publishDebounceMs } = subscribed;
  return object(
    expiry(ttl),
    positionMembers(subscribed),
    wasRecovering && `"was_recovering":true`,
    recovered && `"recovered":true`,
    deltas && `"delta":true`,
    channelId !== undefined && `"id":${channelId}`,
    publishDebounceMs !== undefined && `"publish_debounce":${publishDebounceMs}`,
    publications.length > 0 && `"publications":${list(publications, deltas)}`,
  );
}

function positionMembers({ recoverable, positioned, position, data }: Subscribed): Member {
  return members(
    recoverable && `"recoverable":true`,
    positioned && `"positioned":true`,
    position && `"epoch":${quote(position.epoch)}`,
    position && position.offset > 0 && `"offset":${position.offset}`,
    data !== undefined && `"data":${data}`,
  );
}

/** Bytes that are no JSON end the connection of the client that would receive them. */
function jsonOf({ json }: Payload): string {
  if (json !== undefined) return json;
  throw new DisconnectError(disconnects.inappropriateProtocol, "The payload is no JSON");
}

function presentText(present: Present): string {
  return `${quote(present.client)}:${infoText(infoOf(present))}`;
}

function publicationText({ payload, info, offset, tags }: Publication, form?: TextForm): string {
  let text = `{"data":${form?.deltas ? dataText(payload, form.delta) : jsonOf(payload)}`;
  if (info !== undefined) text += `,"info":${infoText(info)}`;
  if (offset > 0) text += `,"offset":${offset}`;
  if (tags !== undefined) text += `,"tags":${JSON.stringify(tags)}`;
  return text + "}";
}

/** Whether a publication is for a subscriber with deltas, and the delta that it gets. */
type TextForm = Pick<PushForm, "deltas" | "delta">;

/** Where the SDK expects deltas, it expects payloads as texts, too. A delta of bytes is no text. */
function dataText(payload: Payload, delta: Delta | undefined): string {
  const text = delta?.text;
  return text === undefined ? quote(jsonOf(payload)) : `${quote(text)},"delta":true`;
}

const infoText = encodeOnce(({ user, client, connInfo, chanInfo }: ClientInfo) => {
  let text = `{"user":${quote(user)},"client":${quote(client)}`;
  if (connInfo !== undefined) text += `,"conn_info":${connInfo}`;
  if (chanInfo !== undefined) text += `,"chan_info":${chanInfo}`;
  return text + "}";
});

const pageText = encodeOnce((publications: readonly Publication[]) => list(publications));

const presenceText = encodeOnce((clients: readonly Present[]) =>
  `{"presence":{${clients.map(presentText).join(",")}}}`
);

function list(publications: readonly Publication[], deltas?: Subscribed["deltas"]): string {
  const texts = deltas === undefined
    ? publications.map((each) => publicationText(each))
    : publications.map((each, i) =>
      publicationText(each, { deltas: true, ...(deltas[i] && { delta: deltas[i] }) })
    );
  return `[${texts.join(",")}]`;
}

function expiry(ttl: number | undefined): Member {
  return ttl !== undefined && `"expires":true,"ttl":${ttl}`;
}

function push(channel: string, kind: string, body: string): string {
  return `{"push":{"channel":${quote(channel)},"${kind}":${body}}}`;
}

type Member = string | false | undefined;

/** An object of the members that are present. */
function object(...all: Member[]): string {
  return `{${members(...all)}}`;
}

function members(...all: Member[]): string {
  let text = "";
  for (const member of all) if (member) text += text === "" ? member : `,${member}`;
  return text;
}
