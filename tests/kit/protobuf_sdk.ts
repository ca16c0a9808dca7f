import type { Centrifuge } from "centrifuge";
import { Centrifuge as ProtobufSdk } from "centrifuge/build/protobuf";

type Message = Record<string, unknown>;

/** What the SDK does with its own encoder and decoder. */
interface SdkCodec {
  encodeCommands(commands: Message[]): Uint8Array;
  decodeReplies(data: Uint8Array): Message[];
}

/**
 * Returns a Protobuf build of the SDK. Its API takes and gives bytes; here they are JSON, so that the same tests run with
 * both builds. Everything else, the encoding included, is the SDK's.
 */
export function jsonValued(Sdk: unknown): typeof Centrifuge {
  return class extends (Sdk as typeof Centrifuge) {
    constructor(...args: ConstructorParameters<typeof Centrifuge>) {
      super(...args);
      const codec = (this as unknown as { _codec: SdkCodec })._codec;
      const { encodeCommands, decodeReplies } = codec;
      codec.encodeCommands = (commands) => encodeCommands.call(codec, commands.map(toBytes));
      codec.decodeReplies = (data) => decodeReplies.call(codec, data).map(toValues);
    }
  };
}

/** The Protobuf build of the SDK, with JSON values. */
export const JsonProtobufSdk: typeof Centrifuge = jsonValued(ProtobufSdk);

/** Encodes the payload of a command. */
function toBytes(command: Message): Message {
  const entries = Object.entries(command).map(([name, params]) => {
    if (typeof params !== "object" || params === null || !("data" in params)) return [name, params];
    const { data } = params;
    return [name, { ...params, data: data && new TextEncoder().encode(JSON.stringify(data)) }];
  });
  return Object.fromEntries(entries);
}

const BYTES = ["data", "conn_info", "chan_info"];

/** Decodes all payloads in a reply. An absent one is empty bytes in the prototype of its message. */
function toValues(message: Message): Message {
  for (const name of BYTES) {
    if (!(name in message)) continue;
    const bytes = message[name];
    if (!(bytes instanceof Uint8Array)) continue;
    message[name] = bytes.length === 0 ? undefined : JSON.parse(new TextDecoder().decode(bytes));
  }
  for (const [name, value] of Object.entries(message)) {
    if (typeof value === "object" && value !== null && !BYTES.includes(name)) toValues(value as Message);
  }
  return message;
}
