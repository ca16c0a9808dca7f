/**
 * The seam between the protocol and its encodings. Sessions and methods work with commands and results; a codec
 * decodes frames into commands, and encodes results and pushes as messages.
 *
 * @module
 */

import type { Framing, Message, Upgrade } from "../../../core/mod.ts";
import type { ChannelEncoder, History, Position, Subscribed, TagFilter } from "../../channels.ts";
import type { Present } from "../../presence.ts";
import type { Payload } from "../../shared/payload.ts";
import type { ErrorReply } from "./codes.ts";

/** The parameters of each command. What a client leaves out is empty, 0 or `false`, unless the type says otherwise. */
export type Params = {
  connect: {
    readonly token: string;
    readonly data: Payload | undefined;
    readonly clientName: string;
    readonly clientVersion: string;
    /** Headers that the SDK of a browser sends in the command, because it cannot send them in the request. */
    readonly headers: Readonly<Record<string, unknown>>;
    /** Where to recover the server's subscriptions from. */
    readonly subs: ReadonlyMap<string, Position>;
  };
  refresh: { readonly token: string };
  subscribe: {
    readonly channel: string;
    readonly token: string;
    readonly recover: Position | undefined;
    readonly recoverable: boolean;
    readonly positioned: boolean;
    readonly joinLeave: boolean;
    /** The kind of channel; 0 is a stream. */
    readonly type: number;
    readonly flag: number;
    readonly delta: string;
    /** The tags filter, as far as it is an object: the channels check the rest. */
    readonly filter: TagFilter | undefined;
    readonly data: Payload | undefined;
  };
  sub_refresh: { readonly channel: string; readonly token: string };
  unsubscribe: { readonly channel: string };
  publish: { readonly channel: string; readonly type: number; readonly data: Payload | undefined };
  presence: { readonly channel: string };
  presence_stats: { readonly channel: string };
  history: {
    readonly channel: string;
    readonly limit: number;
    readonly since: Position | undefined;
    readonly reverse: boolean;
  };
  rpc: { readonly method: string; readonly data: Payload | undefined };
  send: { readonly data: Payload | undefined };
  /** The answer to a ping. */
  pong: unknown;
};

/** A decoded command. Its `id` is 0 if it needs no reply. */
export type Command<Name extends keyof Params = keyof Params> = {
  [Each in Name]: { readonly name: Each; readonly id: number } & Params[Each];
}[Name];

/** The fields of each result. A `ttl` counts seconds; it is absent if nothing expires. */
export type Results = {
  connect: ClientResult & {
    /** What the backend tells the client, as JSON text. */
    readonly data: string | undefined;
    /** What the server subscribes the client to. */
    readonly subs: ReadonlyMap<string, SubscribeResult>;
    /** The interval of the protocol's pings; absent if it sends none. */
    readonly pingSeconds: number | undefined;
    /** Whether the client answers the pings. */
    readonly pong: boolean;
    /** What a client of a stream sends with each request. */
    readonly stream: { readonly session: string; readonly node: string } | undefined;
  };
  refresh: ClientResult;
  subscribe: SubscribeResult;
  sub_refresh: { readonly ttl: number | undefined };
  unsubscribe: unknown;
  publish: unknown;
  presence: { readonly clients: readonly Present[] };
  presence_stats: { readonly clients: number; readonly users: number };
  history: History;
  rpc: { readonly data: Payload | undefined };
};

/** What a client learns about itself. */
export interface ClientResult {
  /** The connection's id. */
  readonly client: string;
  /** Seconds until the sign-in expires. */
  readonly ttl: number | undefined;
}

/** A new subscription. */
export interface SubscribeResult {
  /** The subscription. */
  readonly subscribed: Subscribed;
  /** Seconds until it expires. */
  readonly ttl: number | undefined;
}

/** The result of a command. */
export type Result<Name extends keyof Results = keyof Results> = {
  [Each in Name]: { readonly name: Each } & Results[Each];
}[Name];

/** The body of a request to the emulation endpoint. */
export interface EmulationRequest {
  /** Selects the stream, as in the result of `connect`. */
  readonly session: string;
  /** The node that has the stream. */
  readonly node: string;
  /** What the client sends to the connection of the stream. */
  readonly frame: Message;
}

/** How frames are written to the body of a streaming response. */
export interface StreamFraming extends Framing {
  /** The content type of the response. */
  readonly contentType: string;
  /** Written before the first frame. */
  readonly preamble: Uint8Array<ArrayBuffer>;
  /** Returns the bytes of one frame, so that the reader finds its end. */
  encode(frame: Message): Uint8Array<ArrayBuffer>;
}

/** An encoding of the protocol. It keeps no state of a connection, so a message to many is encoded once. */
export interface Codec extends ChannelEncoder {
  /** The WebSocket subprotocol that selects it. */
  readonly subprotocol: string;
  /** Frames on a WebSocket. */
  readonly framing: Framing;
  /** Frames on an HTTP stream, in the same format. */
  readonly httpStream: StreamFraming;
  /** Frames as server-sent events, in the same format; absent if the encoding does not support them. */
  readonly sse?: StreamFraming;
  /** The server's ping. */
  readonly ping: Message;
  /** Whether a client asks for this encoding. A client that asks for none gets the first codec. */
  chosenBy(request: Pick<Upgrade, "url" | "headers" | "protocol">): boolean;
  /** Decodes the commands of a frame one by one. Throws a `DisconnectError` for a malformed command. */
  decode(frame: Message): Iterable<Command>;
  /** Decodes the body of a request to the emulation endpoint. Throws if it is malformed. */
  decodeEmulation(body: Message): EmulationRequest;
  /** A reply with the command's result. */
  reply(id: number, result: Result): Message;
  /** A reply with an error. */
  error(id: number, error: ErrorReply): Message;
  /** A message that belongs to no channel. */
  message(data: Payload): Message;
  /** The sign-in has another expiry. */
  refreshed(ttl: number | undefined): Message;
  /** The last message of a stream, in place of a WebSocket's close frame. */
  disconnect(code: number, reason: string): Message;
}
