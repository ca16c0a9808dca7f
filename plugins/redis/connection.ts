/**
 * Connections to Redis servers. One carries commands and messages (RESP3), so that the answer to a publish and the
 * publication itself arrive together.
 *
 * The libraries were tried under Deno: `@redis/client` sent 1.7 times as many scripts per second as `ioredis`, but gave answers to the
 * wrong commands after the server had ended a subscription by itself, as it does when a slot moves.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { connect as connectSecurely } from "node:tls";
import type { RedisAddress } from "./address.ts";
import { type Argument, encode, type Encoded, ErrorReply, Reader, type Value } from "./resp.ts";

/** What a connection reports. */
export interface ConnectionEvents {
  /** A message in a Redis channel. */
  message(name: string, message: Buffer): void;
  /** The server has ended a subscription, since another one has its slot. */
  moved(name: string): void;
  /** The connection is lost. Called once, and not after {@linkcode Connection.destroy}. */
  failed(error: unknown): void;
}

/** A command without an answer. */
interface Waiting {
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
  /** The answer to a change of subscriptions comes as messages, and only an error as an answer. So a fence follows it. */
  readonly isFence?: boolean;
  readonly ending?: string;
  error?: ErrorReply;
}

/**
 * A command that never fails, so an error before its answer is that of the change. `PING` would fail on a server that cannot
 * write to its disk, or for a user without the right to it.
 */
const FENCE = ["HELLO", "3"];

/** The kind of a push with a message. No other kind that is subscribed to here has as many letters. */
const MESSAGE = "smessage";

/** See the module. It is not replaced when it is lost. */
export class Connection {
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #reader = new Reader((value) => this.#answered(value), (values) => this.#pushed(values));
  #waiting: Waiting[] = [];
  /** The place of the first one that waits. */
  #first = 0;
  #pieces: Argument[] = [];
  #scheduled = false;
  #ended = false;
  #lastName = { bytes: Buffer.alloc(0), text: "" };

  constructor({ host, port, secure }: RedisAddress, events: ConnectionEvents) {
    this.#events = events;
    const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
    this.#socket = secure ? connectSecurely({ host, port, ...servername }) : connect({ host, port });
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.on("error", (error: unknown) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("The connection was closed")));
  }

  /** Sends a command. */
  send(command: readonly Argument[]): Promise<Value> {
    return this.sendEncoded(encode(command));
  }

  /** The same for a command that is encoded. */
  sendEncoded(command: Encoded): Promise<Value> {
    return new Promise((resolve, reject) => this.#write(command, { resolve, reject }));
  }

  /** Subscribes to Redis channels; of a cluster, they have one slot. Once it settles, no later message is missed. */
  subscribe(names: readonly string[]): Promise<Value> {
    return new Promise((resolve, reject) =>
      this.#change(["SSUBSCRIBE", ...names], { resolve, reject, isFence: true })
    );
  }

  /** Ends a subscription. */
  unsubscribe(name: string): Promise<Value> {
    return new Promise((resolve, reject) =>
      this.#change(["SUNSUBSCRIBE", name], { resolve, reject, isFence: true, ending: name })
    );
  }

  /** Closes the connection. Commands without an answer fail. */
  destroy(): void {
    this.#ended = true;
    this.#socket.destroy();
    const waiting = this.#waiting.slice(this.#first);
    this.#waiting = [];
    this.#first = 0;
    for (const { reject } of waiting) reject(new Error("The connection was closed"));
  }

  #change(command: readonly Argument[], waiting: Waiting): void {
    if (!this.#ended) this.#add(encode(command));
    this.#write(encode(FENCE), waiting);
  }

  #write(command: Encoded, waiting: Waiting): void {
    if (this.#ended) return waiting.reject(new Error("The connection was closed"));
    this.#waiting.push(waiting);
    this.#add(command);
  }

  #add({ pieces }: Encoded): void {
    const last = this.#pieces.length - 1;
    if (typeof this.#pieces[last] === "string") this.#pieces[last] += pieces.shift() as string;
    this.#pieces.push(...pieces);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#flush);
  }

  /** Commands of one moment are written together. */
  readonly #flush = (): void => {
    this.#scheduled = false;
    const pieces = this.#pieces;
    if (this.#ended) return;
    this.#pieces = [];
    if (pieces.length > 1) this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    if (pieces.length > 1) this.#socket.uncork();
  };

  #read(chunk: Buffer): void {
    if (this.#ended) return;
    try {
      this.#reader.add(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  #answered(value: Value): void {
    const first = this.#waiting[this.#first];
    if (first === undefined) return;
    if (value instanceof ErrorReply && first.isFence && first.error === undefined) {
      first.error = value;
      return;
    }
    this.#first++;
    if (this.#first === this.#waiting.length || this.#first > 1_000) {
      this.#waiting.splice(0, this.#first);
      this.#first = 0;
    }
    const error = value instanceof ErrorReply ? value : first.error;
    if (error === undefined) first.resolve(value);
    else first.reject(error);
  }

  #pushed([kind, name, message]: readonly Value[]): void {
    if (this.#ended) return;
    if ((kind as Buffer).length === MESSAGE.length) {
      return this.#events.message(this.#nameFrom(name as Buffer), message as Buffer);
    }
    const what = String(kind);
    if (what === "sunsubscribe" && this.#waiting[this.#first]?.ending !== String(name)) {
      this.#events.moved(String(name));
    }
  }

  /** Decodes the name of a Redis channel. It is often the same as before. */
  #nameFrom(bytes: Buffer): string {
    const last = this.#lastName;
    let i = last.bytes.length === bytes.length ? bytes.length : -1;
    while (i > 0 && bytes[i - 1] === last.bytes[i - 1]) i--;
    if (i !== 0) this.#lastName = { bytes: Buffer.from(bytes), text: bytes.toString() };
    return this.#lastName.text;
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.destroy();
    this.#events.failed(error);
  }
}
