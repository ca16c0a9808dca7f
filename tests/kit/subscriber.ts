import type { Connection, Message } from "../../core/mod.ts";
import type { Channels, Client, Position, SubscribeRequest } from "../../plugins/channels.ts";
import { type Codec, jsonCodec } from "../../plugins/protocols/centrifuge.ts";
import { anonymousIdentity } from "../../plugins/shared/identity.ts";
import { applyDelta } from "./fossil.ts";
import { decodeReplies } from "./protobuf_client.ts";
import { persistently } from "./remote.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** A publication as a subscriber has it in the end. */
export interface Seen {
  readonly offset: number;
  /** The payload as JSON text. */
  readonly text: string;
}

interface Pub {
  readonly data: unknown;
  readonly offset?: number;
  readonly delta?: boolean;
}

let connections = 0;

/** A client of the channel service that decodes like Centrifuge's SDK, without a socket. */
export class Subscriber {
  readonly seen: Seen[] = [];
  /** The number of publications that came as deltas. */
  deltas = 0;
  /** The latest reply to a subscribe. */
  reply: { readonly delta?: boolean; readonly recovered?: boolean; readonly id?: number } = {};
  subscribed = false;
  position: Position | undefined;
  /** The position of the first reply. */
  start: Position | undefined;
  readonly #bus: Channels;
  readonly #channel: string;
  readonly #request: SubscribeRequest;
  readonly #codec: Codec;
  #conn: { open: boolean } & Partial<Connection> = { open: false };
  #client: Client | undefined;
  #base: Uint8Array | undefined;

  constructor(bus: Channels, channel: string, request: SubscribeRequest = {}, codec: Codec = jsonCodec) {
    this.#bus = bus;
    this.#codec = codec;
    this.#channel = channel;
    this.#request = request;
  }

  get id(): string {
    return this.#conn.id ?? "";
  }

  /** Connects and subscribes, and recovers if it has a position. Does nothing while it is connected. */
  async subscribe(): Promise<void> {
    if (this.#conn.open) return;
    const conn = this.#connect();
    const client = this.#client!;
    const { position: recover } = this;
    const request = { ...this.#request, ...(recover && { recover }) };
    await persistently(() =>
      client.subscribe(this.#channel, request, (subscribed) => {
        const reply = this.#codec.reply(1, { name: "subscribe", subscribed, ttl: undefined });
        conn.send!(reply);
      })
    );
  }

  /** Disconnects. */
  cut(): void {
    this.#conn.open = false;
    this.#client?.unsubscribe(this.#channel);
    this.subscribed = false;
  }

  #connect(): Partial<Connection> {
    const conn = {
      id: `connection ${connections++}`,
      format: this.#codec.framing.format,
      open: true,
      send: (message: Message) => {
        if (conn.open) this.#receive(message);
        return conn.open;
      },
    };
    this.#conn = conn;
    this.#client = this.#bus.connect(conn as unknown as Connection, {
      identity: anonymousIdentity,
      encoder: this.#codec,
    });
    return conn;
  }

  #receive(message: Message): void {
    const { subscribe, push } = typeof message === "string"
      ? JSON.parse(message)
      : decodeReplies(message)[0]!;
    if (subscribe !== undefined) {
      this.reply = subscribe;
      this.subscribed = true;
      this.#base = undefined;
      this.position = { offset: subscribe.offset ?? 0, epoch: subscribe.epoch };
      this.start ??= this.position;
      for (const pub of subscribe.publications ?? []) this.#see(pub);
    } else if (push.unsubscribe !== undefined) this.cut();
    else {
      const { id, channel } = push;
      if (this.reply.id !== id || channel !== (id === undefined ? this.#channel : undefined)) {
        throw new Error(`A push for ${id} ${channel}`);
      }
      this.#see(push.pub);
    }
  }

  #see({ data, delta, offset = 0 }: Pub): void {
    if (!this.subscribed) throw new Error("A publication before the reply");
    const json = this.reply.delta ? data as string : JSON.stringify(data);
    let bytes = data instanceof Uint8Array ? data : encoder.encode(json);
    if (delta) {
      if (this.#base === undefined) throw new Error("A delta without a base");
      bytes = applyDelta(this.#base, bytes);
      this.deltas++;
    }
    this.#base = bytes;
    if (offset > 0) this.position = { ...this.position!, offset };
    this.seen.push({ offset, text: JSON.stringify(JSON.parse(decoder.decode(bytes))) });
  }
}
