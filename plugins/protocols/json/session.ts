/**
 * One client of the json protocol.
 *
 * @module
 */

import {
  chain,
  type Connection,
  type MaybePromise,
  type Message,
  PlugboardError,
  type Session,
  type Upgrade,
} from "../../../core/mod.ts";
import type { Client, HistoryQuery, SubscribeRequest } from "../../channels.ts";
import type { Presence } from "../../presence.ts";
import type { Rpc } from "../../rpc.ts";
import type { Identity } from "../../shared/identity.ts";
import { errorData, invalid, signInCode } from "./codes.ts";
import type { Cursors } from "./cursors.ts";
import {
  decode,
  encode,
  encodeHistory,
  encodePresence,
  encodeSubscribed,
  payloadOf,
  type ReceivedMessage,
} from "./envelope.ts";
import { asQuery, bounded, fields, positionIn } from "./fields.ts";
import type {
  ClientMessageType,
  ConnectionAckData,
  ExpiryData,
  MessageData,
  MessageType,
} from "./messages.ts";

/** What sessions need from the plugin. */
export interface JsonServices {
  /** Lists who is in a channel. */
  readonly presence: Pick<Presence, "list"> | undefined;
  /** The methods that clients can call. */
  readonly rpc: Pick<Rpc, "call"> | undefined;
  /** Whether there are live queries; known once the server has started. */
  readonly queries: boolean;
  /** Publishes cursors. */
  readonly cursors: Cursors;
  /** Maximum bytes of a message; a larger one is refused unread. */
  readonly maxMessageBytes: number;
  /** Signs a connection in; returns the client, and what the server subscribes it to. */
  connect(
    conn: Connection,
    upgrade: Upgrade,
    events: SignInEvents,
  ): Promise<{ client: Client; subscriptions: ReadonlyMap<string, SubscribeRequest> }>;
  /** Extends a sign-in by a newer token; absent without sign-in. */
  readonly refresh: ((conn: Connection, token: string) => Promise<Identity>) | undefined;
  /** Counts a client, and returns the data of its first message. */
  welcome(client: Client): ConnectionAckData;
  /** Logs a failure that is not the client's error. */
  failed(conn: Connection, error: unknown): void;
}

/** Events of a sign-in. */
export interface SignInEvents {
  /** It expires soon. */
  expiring(expiresAt: number): void;
  /** It has another expiry. */
  refreshed(expiresAt: number | undefined): void;
}

/** Handles one client's messages. Messages wait until the client has signed in. */
export class JsonSession implements Session<Message> {
  readonly #conn: Connection;
  readonly #services: JsonServices;
  #client: Client | undefined;
  #signingIn: Promise<void> | undefined;
  /** The id of the current refresh. */
  #refreshing: string | undefined;

  constructor(conn: Connection, upgrade: Upgrade, services: JsonServices) {
    this.#conn = conn;
    this.#services = services;
    this.#signingIn = this.#signIn(upgrade);
  }

  async #signIn(upgrade: Upgrade): Promise<void> {
    try {
      const { client, subscriptions } = await this.#services.connect(this.#conn, upgrade, {
        expiring: (expiresAt) => this.#send("connection:expiring", "", { expiresAt }),
        refreshed: (expiresAt) => this.#send("refreshed", "", expiry(expiresAt), this.#refreshing),
      });
      this.#client = client;
      this.#send("connection:ack", "", this.#services.welcome(client));
      await client.subscribeAll(subscriptions, (all) => {
        for (const [channel, subscribed] of all) this.#conn.send(encodeSubscribed(channel, subscribed));
      });
      this.#signingIn = undefined;
    } catch (error) {
      this.#refuse(undefined, "", error);
      this.#conn.close(signInCode(error));
    }
  }

  message(data: Message): MaybePromise<void> {
    if (this.#signingIn === undefined) return this.#handle(data);
    return this.#signingIn.then(() => this.#conn.open ? this.#handle(data) : undefined);
  }

  #handle(data: Message): MaybePromise<void> {
    let message: ReceivedMessage;
    try {
      message = decode(data, this.#services.maxMessageBytes);
    } catch (error) {
      return this.#refuse(undefined, "", error);
    }
    const { id, channel, type } = message;
    const method = methods.get(type as ClientMessageType);
    try {
      if (method === undefined) throw invalid(`Clients cannot send "${type.slice(0, 100)}"`);
      if (!isOffered(method, this.#services)) {
        throw new PlugboardError("not_available", `There is no "${type}" here`);
      }
      const pending = method.run(this, message);
      return pending?.catch((error: unknown) => this.#refuse(id, channel, error));
    } catch (error) {
      this.#refuse(id, channel, error);
    }
  }

  #refuse(id: string | undefined, channel: string, error: unknown): void {
    if (!(error instanceof PlugboardError)) this.#services.failed(this.#conn, error);
    this.#send("error", channel, errorData(error), id);
  }

  #send<Type extends MessageType>(type: Type, channel: string, data: MessageData[Type], id?: string): void {
    this.#conn.send(encode(type, channel, data, id));
  }

  async subscribe({ id, channel, data }: ReceivedMessage): Promise<void> {
    const { since, joinLeave } = fields(data);
    const request: SubscribeRequest = {
      ...requestFor(channel),
      ...(joinLeave !== undefined && { joinLeave: joinLeave === true }),
      ...(since !== undefined && { recover: positionIn(since) }),
    };
    await this.#client!.subscribe(channel, request, (given) => {
      const subscribed = bounded(given);
      this.#conn.send(encodeSubscribed(channel, subscribed, id));
      for (const each of subscribed.publications) {
        this.#conn.send(this.#client!.encoder.publication(channel, each));
      }
    });
  }

  unsubscribe({ id, channel }: ReceivedMessage): void {
    if (!this.#client!.unsubscribe(channel)) throw new PlugboardError("not_subscribed", "Not subscribed");
    this.#send("unsubscribed", channel, {}, id);
  }

  publish(message: ReceivedMessage): MaybePromise<void> {
    const { id, channel, data } = message;
    if (data === undefined) throw invalid('"data" is missing');
    const published = this.#client!.publish(channel, payloadOf(message));
    return chain(published, (result) => this.#send("published", channel, result, id));
  }

  async presence({ id, channel }: ReceivedMessage): Promise<void> {
    this.#client!.check("presence", channel);
    this.#conn.send(encodePresence(channel, await this.#services.presence!.list(channel), id));
  }

  async history({ id, channel, data }: ReceivedMessage): Promise<void> {
    const { limit = 100, since, reverse = false } = fields(data);
    if (!Number.isInteger(limit) || (limit as number) < 0) throw invalid('"limit" must be a whole number');
    const query: HistoryQuery = {
      limit: Math.min(limit as number, 1_000),
      reverse: reverse === true,
      ...(since !== undefined && { since: positionIn(since) }),
    };
    this.#conn.send(encodeHistory(channel, await this.#client!.history(channel, query), id));
  }

  async rpc({ id, channel, data }: ReceivedMessage): Promise<void> {
    const { method, params } = fields(data);
    if (typeof method !== "string") throw invalid('"data.method" must be a string');
    const caller = { identity: this.#client!.identity, conn: this.#conn };
    this.#send("rpc:result", channel, await this.#services.rpc!.call(method, params, caller) ?? null, id);
  }

  cursor({ id, channel: given, data }: ReceivedMessage): void {
    const client = this.#client!;
    const channel = given === "" ? "collaboration" : given;
    if (!client.subscriptions.has(channel)) throw new PlugboardError("not_subscribed", "Not subscribed");
    client.check("publish", channel);
    const refuse = (error: unknown) => this.#refuse(id, channel, error);
    this.#services.cursors.move({ client, channel, data: fields(data), refuse });
  }

  async refresh({ id, data }: ReceivedMessage): Promise<void> {
    const { token } = fields(data);
    if (typeof token !== "string" || token === "") throw invalid('"data.token" must be a token');
    try {
      const identity = await this.#services.refresh!(this.#conn, token);
      this.#refreshing = id;
      this.#client!.identify(identity);
    } catch (error) {
      this.#refuse(id, "", error);
      this.#conn.close(signInCode(error));
    } finally {
      this.#refreshing = undefined;
    }
  }

  pong({ id }: ReceivedMessage): void {
    this.#send("pong", "", {}, id);
  }
}

/** A type of message, and the option that it needs. */
interface Method {
  run(session: JsonSession, message: ReceivedMessage): MaybePromise<void>;
  readonly needs?: keyof Offers;
}

type Offers = Pick<JsonServices, "presence" | "rpc" | "refresh" | "queries">;

const methods: ReadonlyMap<ClientMessageType, Method> = new Map<ClientMessageType, Method>([
  ["subscribe", { run: (session, message) => session.subscribe(message) }],
  ["unsubscribe", { run: (session, message) => session.unsubscribe(message) }],
  ["publish", { run: (session, message) => session.publish(message) }],
  ["presence", { run: (session, message) => session.presence(message), needs: "presence" }],
  ["history", { run: (session, message) => session.history(message) }],
  ["query:subscribe", { run: (session, message) => session.subscribe(asQuery(message)), needs: "queries" }],
  ["query:unsubscribe", {
    run: (session, message) => session.unsubscribe(asQuery(message)),
    needs: "queries",
  }],
  ["rpc", { run: (session, message) => session.rpc(message), needs: "rpc" }],
  ["user:cursor", { run: (session, message) => session.cursor(message) }],
  ["refresh", { run: (session, message) => session.refresh(message), needs: "refresh" }],
  ["ping", { run: (session, message) => session.pong(message) }],
]);

/** Returns the types that a client may send on this server. */
export function capabilitiesOf(offers: Offers): ClientMessageType[] {
  return [...methods].filter(([, method]) => isOffered(method, offers)).map(([type]) => type);
}

function isOffered({ needs }: Method, offers: Offers): boolean {
  return needs === undefined || Boolean(offers[needs]);
}

/** The defaults of a subscription: collaborators receive joins and leaves. */
export function requestFor(channel: string): Pick<SubscribeRequest, "joinLeave"> {
  return { joinLeave: channel === "collaboration" };
}

/** The expiry of a sign-in, as messages contain it. */
export function expiry(expiresAt: number | undefined): ExpiryData {
  return expiresAt === undefined ? {} : { expiresAt };
}
