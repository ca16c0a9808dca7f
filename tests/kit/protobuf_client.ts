import { decodeDelimited } from "../../plugins/protocols/centrifuge/protobuf/decode.ts";
import { encode, encodeDelimited, type Fields } from "../../plugins/protocols/centrifuge/protobuf/encode.ts";
import type { Field, MessageType } from "../../plugins/protocols/centrifuge/protobuf/message_type.ts";
import { schema } from "../../plugins/protocols/centrifuge/protobuf/schema.ts";
import { memberText } from "../../plugins/shared/json_text.ts";
import { Payload } from "../../plugins/shared/payload.ts";
import type { Client } from "./client.ts";

/** The subprotocol of Protobuf. */
export const PROTOBUF = "centrifuge-protobuf";

/** What tests use of a client, whichever encoding it speaks: it sends and receives lines of JSON. */
export type LineClient =
  & Pick<Client, "closed" | "waiting" | "sendJson" | "nextText" | "nextJson" | "close">
  & AsyncDisposable
  & { send(lines: string): void };

/** Makes a client speak Protobuf. */
export function protobufClient(client: Client): LineClient {
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

/** Encodes commands, a line of JSON each, as one frame. */
export function encodeLines(text: string): Uint8Array<ArrayBuffer> {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return new Uint8Array(lines.flatMap((line) => [...encodeLine(line)]));
}

/** Encodes a message with its length. */
export function encodeMessage(type: keyof typeof schema, fields: Fields): Uint8Array<ArrayBuffer> {
  return encodeDelimited(schema[type], fields);
}

/** Encodes the body of an emulation request. */
export function encodeEmulation(session: string, node: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  return encode(schema.EmulationRequest, { session, node, data });
}

/** Decodes the messages of a frame. */
export function decodeReplies(frame: Uint8Array): Record<string, unknown>[] {
  return [...decodeDelimited(schema.Reply, frame)];
}

/** Decodes a frame to lines of JSON, as a client of the JSON encoding gets them. */
export function decodeLines(frame: Uint8Array): string {
  return decodeReplies(frame).map((reply) => jsonOf(schema.Reply, reply)).join("\n");
}

/** A message that ends in the middle of a field. It stands for JSON that Protobuf cannot express. */
const MALFORMED = Uint8Array.of(1, 8);

function encodeLine(line: string): Uint8Array {
  try {
    const fields = fieldsOf(schema.Command, JSON.parse(line));
    for (const name of ["publish", "rpc", "send"]) {
      const text = memberText(line, name, "data");
      const params = fields[name] as Record<string, unknown> | undefined;
      if (params !== undefined && text !== undefined) params.data = new TextEncoder().encode(text);
    }
    return encodeDelimited(schema.Command, fields);
  } catch {
    return MALFORMED;
  }
}

/** Turns an object from JSON into the fields of a message; throws if it has another form. */
function fieldsOf(type: MessageType, value: unknown): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [name, each] of Object.entries(asObject(value))) {
    const field = type.byName.get(name);
    if (field === undefined || each === null && typeof field.type === "string") continue;
    fields[name] = field.repeated
      ? (each as unknown[]).map((item) => valueOf(field.type, item))
      : field.map
      ? mapped(asObject(each), (item) => valueOf(valueType(field), item))
      : valueOf(field.type, each);
  }
  return fields;
}

function asObject(value: unknown): object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError("not an object");
  }
  return value;
}

function mapped<T>(object: object, change: (value: unknown) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
}

function valueOf(type: Field["type"], value: unknown): unknown {
  if (typeof type !== "string") return fieldsOf(type, value);
  if (type === "bytes") return new TextEncoder().encode(JSON.stringify(value));
  const fits = type === "string"
    ? typeof value === "string"
    : type === "bool"
    ? typeof value === "boolean"
    : Number.isSafeInteger(value) && (!type.startsWith("u") || (value as number) >= 0);
  if (!fits) throw new TypeError(`not a ${type}`);
  return value;
}

/** What JSON shows although it is zero, as SDKs read it. */
const SHOWN: Record<string, Fields> = {
  ClientInfo: { user: "", client: "" },
  PresenceResult: { presence: {} },
  PresenceStatsResult: { num_clients: 0, num_users: 0 },
  HistoryResult: { publications: [], epoch: "", offset: 0 },
};

function jsonOf(type: MessageType, fields: Fields): string {
  return jsonObject({ ...SHOWN[type.name], ...fields }, (value, name) => {
    const field = type.byName.get(name)!;
    if (field.repeated) {
      return `[${(value as unknown[]).map((each) => jsonOfValue(field.type, each)).join(",")}]`;
    }
    if (field.map) return jsonObject(value as Fields, (each) => jsonOfValue(valueType(field), each));
    return jsonOfValue(field.type, value);
  });
}

function jsonObject(fields: Fields, json: (value: unknown, name: string) => string): string {
  const members = Object.entries(fields).map(([name, value]) =>
    `${JSON.stringify(name)}:${json(value, name)}`
  );
  return `{${members.join(",")}}`;
}

function jsonOfValue(type: Field["type"], value: unknown): string {
  if (typeof type !== "string") return jsonOf(type, value as Fields);
  if (type !== "bytes") return JSON.stringify(value);
  const payload = Payload.fromBytes(value as Uint8Array);
  return payload.json ?? payload.text;
}

function valueType({ type }: Field): Field["type"] {
  return (type as MessageType).byName.get("value")!.type;
}
