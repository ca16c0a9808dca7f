import { Buffer } from "node:buffer";
import type { Message } from "../../core/mod.ts";
import type { Publication } from "../../plugins/channels.ts";
import type { Codec, Command, Result, SubscribeResult } from "../../plugins/protocols/centrifuge/codec.ts";
import { malformed } from "../../plugins/protocols/centrifuge/codes.ts";
import { jsonCodec } from "../../plugins/protocols/centrifuge/json_codec.ts";
import { readCommand } from "../../plugins/protocols/centrifuge/json_commands.ts";
import { memberText } from "../../plugins/shared/json_text.ts";
import { Payload } from "../../plugins/shared/payload.ts";
import type { Client } from "./client.ts";

/** The subprotocol of {@linkcode binaryCodec}. */
export const BINARY = "centrifuge-kit";

/**
 * A second encoding, to prove that the protocol does not depend on the first. A frame is a sequence of messages, each
 * preceded by its length as a varint. A message is a JSON header, preceded by its length, and the payloads as bytes,
 * each preceded by its kind (0 JSON, 1 bytes) and length. `{"$":0}` in the header stands for the first payload. A ping
 * and a pong are empty messages.
 */
export const binaryCodec: Codec = {
  subprotocol: BINARY,
  framing: { accepts: "binary", format: Symbol(BINARY), join: (messages) => concat(messages) },
  get httpStream() {
    return {
      ...this.framing,
      contentType: "application/octet-stream",
      preamble: new Uint8Array(),
      encode: (frame: Message) => frame as Uint8Array<ArrayBuffer>,
    };
  },
  ping: Uint8Array.of(0),
  chosenBy: ({ protocol, headers }) =>
    protocol === BINARY || headers.get("content-type") === "application/octet-stream",
  *decode(frame): Generator<Command> {
    if (frame.length === 0) throw malformed("frame");
    for (const message of messagesIn(frame)) yield decodeCommand(message);
  },
  decodeEmulation(body) {
    const { header, payloads: [frame] } = unpack(body as Uint8Array);
    const { session, node } = JSON.parse(header);
    return { session, node, frame: frame!.bytes };
  },
  reply(id, result) {
    const payloads: Payload[] = [];
    return pack(jsonCodec.reply(id, withoutPayloads(result, payloads)), payloads);
  },
  error: (id, error) => pack(jsonCodec.error(id, error)),
  publication(channel, publication) {
    return pack(jsonCodec.publication(channel, { ...publication, payload: marker(0) }), [
      publication.payload,
    ]);
  },
  join: (channel, info) => pack(jsonCodec.join(channel, info)),
  leave: (channel, info) => pack(jsonCodec.leave(channel, info)),
  subscribed: (channel, subscribed) => pack(jsonCodec.subscribed(channel, subscribed)),
  unsubscribed: (channel, why) => pack(jsonCodec.unsubscribed(channel, why)),
  message: (data) => pack(jsonCodec.message(marker(0)), [data]),
  refreshed: (ttl) => pack(jsonCodec.refreshed(ttl)),
  disconnect: (code, reason) => pack(jsonCodec.disconnect(code, reason)),
};

/** What tests use of a client, whichever encoding it speaks: it sends and receives lines of JSON. */
export type LineClient =
  & Pick<Client, "closed" | "waiting" | "sendJson" | "nextText" | "nextJson" | "close">
  & AsyncDisposable
  & { send(lines: string): void };

/** Makes a client speak the binary encoding. */
export function binaryClient(client: Client): LineClient {
  const send = (lines: string) => client.send(encodeLines(lines));
  const nextText = async (ms?: number) => decodeLines(await client.next(ms) as Uint8Array);
  return {
    closed: client.closed,
    get waiting() {
      return client.waiting;
    },
    send,
    sendJson: (command) => send(JSON.stringify(command)),
    nextText,
    nextJson: async (ms) => JSON.parse(await nextText(ms)),
    close: (code) => client.close(code),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

/** Encodes lines of JSON as one binary frame. */
export function encodeLines(text: string): Uint8Array<ArrayBuffer> {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return concat(lines.map(encodeLine));
}

/** Encodes a command with the id 3 and a payload in JSON, which may have line breaks. */
export function encodeCommand(name: string, params: object, data: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(data);
  const header = { id: 3, [name]: { ...params, data: { $: 0 } } };
  return pack(JSON.stringify(header), [{ isBinary: false, bytes: text }]);
}

/** Encodes the body of an emulation request. */
export function encodeEmulation(session: string, node: string, frame: Uint8Array): Uint8Array<ArrayBuffer> {
  const message = pack(JSON.stringify({ session, node }), [Payload.fromBytes(frame)]);
  return message.slice(readPart(message, 0).end - readPart(message, 0).part.length);
}

/** Decodes a binary frame to lines of JSON. */
export function decodeLines(frame: Uint8Array): string {
  return Array.from(messagesIn(frame), (message) => {
    if (message.length === 0) return "{}";
    const { header, payloads } = unpack(message);
    return header.replaceAll(/\{"\$":(\d+)\}/g, (_, index) => payloads[index]!.text);
  }).join("\n");
}

function encodeLine(line: string): Uint8Array<ArrayBuffer> {
  if (line === "" || line === "{}") return Uint8Array.of(0);
  try {
    const command = JSON.parse(line);
    for (const name of ["publish", "rpc", "send"]) {
      if (command[name]?.data === undefined) continue;
      const payload = Payload.fromJson(memberText(line, name, "data")!);
      return pack(JSON.stringify({ ...command, [name]: { ...command[name], data: { $: 0 } } }), [payload]);
    }
  } catch { /* tests send malformed commands too */ }
  return pack(line);
}

function decodeCommand(message: Uint8Array): Command {
  if (message.length === 0) return { name: "pong", id: 0 };
  const { header, payloads: [payload] } = unpack(message);
  let value: unknown;
  try {
    value = JSON.parse(header);
  } catch {
    throw malformed("command");
  }
  return readCommand(value, () => payload ?? Payload.of(null));
}

function withoutPayloads(result: Result, payloads: Payload[]): Result {
  const taken = (payload: Payload) => marker(payloads.push(payload) - 1);
  const all = (publications: readonly Publication[]) =>
    publications.map((each) => ({ ...each, payload: taken(each.payload) }));
  const subscription = ({ subscribed, ttl }: SubscribeResult) => ({
    subscribed: { ...subscribed, publications: all(subscribed.publications) },
    ttl,
  });
  switch (result.name) {
    case "rpc":
      return { ...result, data: result.data && taken(result.data) };
    case "history":
      return { ...result, publications: all(result.publications) };
    case "subscribe":
      return { ...result, ...subscription(result) };
    case "connect":
      return {
        ...result,
        subs: new Map(Array.from(result.subs, ([name, each]) => [name, subscription(each)])),
      };
    default:
      return result;
  }
}

function marker(index: number): Payload {
  return Payload.of({ $: index });
}

function pack(
  header: Message,
  payloads: readonly Pick<Payload, "isBinary" | "bytes">[] = [],
): Uint8Array<ArrayBuffer> {
  const parts = [withLength(Buffer.from(header as string))];
  for (const payload of payloads) {
    parts.push(Uint8Array.of(payload.isBinary ? 1 : 0), withLength(payload.bytes));
  }
  return withLength(concat(parts));
}

function unpack(message: Uint8Array): { header: string; payloads: Payload[] } {
  const header = readPart(message, 0);
  const payloads: Payload[] = [];
  for (let at = header.end; at < message.length;) {
    const { part, end } = readPart(message, at + 1);
    payloads.push(message[at] === 1 ? Payload.fromBytes(part) : Payload.fromJson(decode(part)));
    at = end;
  }
  return { header: decode(header.part), payloads };
}

function* messagesIn(frame: Message): Generator<Uint8Array> {
  for (let at = 0; at < frame.length;) {
    const { part, end } = readPart(frame as Uint8Array, at);
    yield part;
    at = end;
  }
}

function readPart(bytes: Uint8Array, from: number): { part: Uint8Array; end: number } {
  let length = 0;
  let at = from;
  for (let shift = 0;; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined || shift > 28) throw malformed("length");
    length += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  if (at + length > bytes.length) throw malformed("length");
  return { part: bytes.slice(at, at + length), end: at + length };
}

function withLength(part: Uint8Array): Uint8Array<ArrayBuffer> {
  const length: number[] = [];
  for (let left = part.length; length.length === 0 || left > 0; left >>>= 7) {
    length.push(left > 127 ? left & 127 | 128 : left);
  }
  return concat([Uint8Array.from(length), part]);
}

function concat(parts: readonly Message[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts as Uint8Array[]));
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
