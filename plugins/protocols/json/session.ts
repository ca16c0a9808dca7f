/**
 * One client of the json protocol.
 *
 * @module
 */

import {
  type CloseCode,
  type Connection,
  type MaybePromise,
  PlugboardError,
  type Session,
} from "../../../core/mod.ts";
import type { Client, HistoryQuery, Position, Publication, SubscribeRequest } from "../../channels.ts";
import type { Presence } from "../../presence.ts";
import type { Rpc } from "../../rpc.ts";
import type { Cursors } from "./cursors.ts";
import { invalid, read, write } from "./envelope.ts";
import type {
  ClientMessage,
  ClientMessageType,
  ConnectionAckData,
  MessageData,
  MessageType,
  SubscribedData,
} from "./messages.ts";

/** What sessions need of the plugin. */
export interface JsonServices {
  /** Who is in a channel. */
  readonly presence: Pick<Presence, "list" | "count"> | undefined;
  /** The methods clients can call. */
  readonly rpc: Pick<Rpc, "call"> | undefined;
  /** Passes cursors on. */
  readonly cursors: Cursors;
  /** Signs a connection in. */
  connect(conn: Connection): Promise<Client>;
  /** What a client is told first. */
  greeting(client: Client): ConnectionAckData;
  /** How a refused client is closed. */
  closeCodeFor(error: unknown): CloseCode;
}

type Handler = (session: JsonSession, message: ClientMessage) => MaybePromise<void>;

/** Handles one client's messages. The session begins when it has signed in; messages before that wait. */
export class JsonSession implements Session {
  readonly #conn: Connection;
  readonly #services: JsonServices;
  #client: Client | undefined;
  #signingIn: Promise<void> | undefined;

  constructor(conn: Connection, services: JsonServices) {
    this.#conn = conn;
    this.#services = services;
    this.#signingIn = this.#signIn();
  }

  async #signIn(): Promise<void> {
    try {
      this.#client = await this.#services.connect(this.#conn);
      this.#signingIn = undefined;
      this.#send("connection:ack", "", this.#services.greeting(this.#client));
    } catch (error) {
      this.#refuse(undefined, "", error);
      this.#conn.close(this.#services.closeCodeFor(error));
    }
  }

  message(text: string): MaybePromise<void> {
    if (this.#signingIn === undefined) return this.#handle(text);
    return this.#signingIn.then(() => this.#conn.open ? this.#handle(text) : undefined);
  }

  #handle(text: string): MaybePromise<void> {
    let message: ClientMessage;
    try {
      message = read(text);
    } catch (error) {
      return this.#refuse(undefined, "", error);
    }
    const handler = handlers.get(message.type as ClientMessageType);
    try {
      if (handler === undefined) throw invalid(`Clients cannot send "${message.type.slice(0, 100)}"`);
      const work = handler(this, message);
      return work?.catch((error: unknown) => this.#refuse(message.id, message.channel, error));
    } catch (error) {
      this.#refuse(message.id, message.channel, error);
    }
  }

  #refuse(id: string | undefined, channel: string, error: unknown): void {
    if (!(error instanceof PlugboardError)) throw error;
    this.#send("error", channel, { code: error.code.toUpperCase(), message: error.message }, id);
  }

  #send<Type extends MessageType>(type: Type, channel: string, data: MessageData[Type], id?: string): void {
    this.#conn.send(write(type, channel, data, id));
  }

  async subscribe({ id, channel, data }: ClientMessage): Promise<void> {
    const { since, joinLeave = channel === "collaboration" } = fields(data);
    const recover = since === undefined ? undefined : positionIn(since);
    const request: SubscribeRequest = {
      joinLeave: joinLeave === true,
      ...(recover !== undefined && { recover }),
    };
    await this.#client!.subscribe(channel, request, (subscribed) => {
      const { position, wasRecovering, recovered, data: snapshot, publications } = subscribed;
      const answer: SubscribedData = {
        ...(position !== undefined && { position }),
        ...(wasRecovering && { recovered }),
        ...(snapshot !== undefined && { snapshot: JSON.parse(snapshot) }),
      };
      this.#send("subscribed", channel, answer, id);
      for (const each of publications) this.#conn.send(this.#client!.encoder.publication(channel, each));
    });
  }

  unsubscribe({ id, channel }: ClientMessage): void {
    if (!this.#client!.unsubscribe(channel)) throw new PlugboardError("not_subscribed", "Not subscribed");
    this.#send("unsubscribed", channel, {}, id);
  }

  async publish({ id, channel, data }: ClientMessage): Promise<void> {
    if (data === undefined) throw invalid('"data" is missing');
    this.#send("published", channel, await this.#client!.publish(channel, data), id);
  }

  presence({ id, channel }: ClientMessage): void {
    const { presence } = this.#services;
    if (presence === undefined) throw new PlugboardError("not_available", "There is no presence here");
    this.#client!.check("presence", channel);
    this.#send("presence", channel, { clients: presence.list(channel) }, id);
  }

  async history({ id, channel, data }: ClientMessage): Promise<void> {
    const { limit = 100, since, reverse = false } = fields(data);
    if (!Number.isInteger(limit) || (limit as number) < 0) throw invalid('"limit" must be a whole number');
    const query: HistoryQuery = {
      limit: Math.min(limit as number, 1_000),
      reverse: reverse === true,
      ...(since !== undefined && { since: positionIn(since) }),
    };
    const { publications, top } = await this.#client!.history(channel, query);
    this.#send("history", channel, { ...top, publications: publications.map(written) }, id);
  }

  async rpc({ id, channel, data }: ClientMessage): Promise<void> {
    const { method, params } = fields(data);
    if (typeof method !== "string") throw invalid('"data.method" must be a string');
    const { rpc } = this.#services;
    if (rpc === undefined) throw new PlugboardError("not_available", "There are no methods to call");
    const result = await rpc.call(method, params, { identity: this.#client!.identity, conn: this.#conn });
    this.#send("rpc:result", channel, result ?? null, id);
  }

  cursor({ channel, data }: ClientMessage): void {
    const place = channel === "" ? "collaboration" : channel;
    if (!this.#client!.subscriptions.has(place)) throw new PlugboardError("not_subscribed", "Not subscribed");
    this.#client!.check("publish", place);
    this.#services.cursors.move(this.#client!, place, fields(data));
  }

  pong({ id }: ClientMessage): void {
    this.#send("pong", "", {}, id);
  }
}

/** A live query is a channel; its name tells the query and the parameters. */
function asQuery({ id, data }: ClientMessage): ClientMessage {
  const { query, params = {}, since } = fields(data);
  if (typeof query !== "string") throw invalid('"data.query" must be the name of a query');
  const given = Object.entries(fields(params)).map(([name, value]) => [name, String(value)]);
  given.sort(([a], [b]) => a! < b! ? -1 : 1);
  const parameters = new URLSearchParams(given).toString();
  const channel = `live:${query}${parameters === "" ? "" : `?${parameters}`}`;
  return { type: "subscribe", id, channel, data: since === undefined ? {} : { since } };
}

const handlers = new Map<ClientMessageType, Handler>([
  ["subscribe", (session, message) => session.subscribe(message)],
  ["unsubscribe", (session, message) => session.unsubscribe(message)],
  ["publish", (session, message) => session.publish(message)],
  ["presence", (session, message) => session.presence(message)],
  ["history", (session, message) => session.history(message)],
  ["query:subscribe", (session, message) => session.subscribe(asQuery(message))],
  ["query:unsubscribe", (session, message) => session.unsubscribe(asQuery(message))],
  ["rpc", (session, message) => session.rpc(message)],
  ["user:cursor", (session, message) => session.cursor(message)],
  ["ping", (session, message) => session.pong(message)],
]);

/** The types a client may send. */
export const capabilities: readonly ClientMessageType[] = [...handlers.keys()];

function fields(data: unknown): Record<string, unknown> {
  if (data === undefined || data === null) return {};
  if (typeof data !== "object" || Array.isArray(data)) throw invalid('"data" must be an object');
  return data as Record<string, unknown>;
}

/** A position, as the server gave it, or an offset alone. */
function positionIn(since: unknown): Position {
  const { offset, epoch = "" } = typeof since === "number" ? { offset: since } : fields(since);
  if (!Number.isSafeInteger(offset) || (offset as number) < 0 || typeof epoch !== "string") {
    throw invalid('"since" must be an offset, or an offset with an epoch');
  }
  return { offset: offset as number, epoch };
}

function written({ offset, time, json, info }: Publication) {
  return {
    offset,
    timestamp: time,
    data: JSON.parse(json),
    ...(info !== undefined && { userId: info.user }),
  };
}
