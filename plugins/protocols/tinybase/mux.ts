/**
 * Many stores on one socket: TinyBase's multiplexed mode, spoken where a client offers the subprotocol `tinybase`.
 *
 * @module
 */

import type { CloseCode, MaybePromise, Session } from "../../../core/mod.ts";
import { tinybaseCodes } from "./close_codes.ts";
import type { SyncClient } from "./client.ts";

/** What a multiplexed session needs. */
export interface MuxOptions {
  /** Has the client join the path of a channel; gives the code to close it with if it may not. */
  readonly join: (channel: string) => MaybePromise<SyncClient | CloseCode>;
  /** Sends a frame as it is. */
  readonly send: (frame: string) => void;
  /** Ends the connection. */
  readonly close: (why: CloseCode) => void;
  /** Told when joining has thrown. */
  readonly failed: (error: unknown) => void;
}

const CONTROL = -1;
const HELLO = 0;
const SUBSCRIBE = 1;
const UNSUBSCRIBE = 2;
const VERSION = 1;

/** As TinyBase limits them. */
const MAX_CHANNELS = 100;
const MAX_CHANNEL_BYTES = 1_024;

/** A session that carries several clients, each on the path of its channel. */
export function muxSession({ join, send, close, failed }: MuxOptions): Session {
  const channels = new Map<string, SyncClient | "joining">();
  let greeted = false;
  let open = true;

  function control(frame: string, payload: string): void {
    const [requestId, type, body] = parseControl(payload) ?? [];
    if (type === HELLO && typeof requestId === "string" && body === VERSION) {
      greeted = true;
      return send(frame);
    }
    const subscribes = type === SUBSCRIBE && typeof requestId === "string";
    const unsubscribes = type === UNSUBSCRIBE && requestId === null;
    if (!subscribes && !unsubscribes || typeof body !== "string") return close(tinybaseCodes.invalid);
    if (new TextEncoder().encode(body).length > MAX_CHANNEL_BYTES) return close(tinybaseCodes.channels);
    if (!isChannelId(body)) return close(tinybaseCodes.invalid);
    if (unsubscribes) leave(body);
    else if (greeted) subscribe(body, frame);
  }

  function subscribe(channel: string, frame: string): void {
    if (channels.has(channel)) return send(frame);
    if (channels.size >= MAX_CHANNELS) return close(tinybaseCodes.channels);
    channels.set(channel, "joining");
    const joining = join(channel);
    if (joining instanceof Promise) joining.then((client) => joined(channel, frame, client), refused);
    else joined(channel, frame, joining);
  }

  function joined(channel: string, frame: string, client: SyncClient | CloseCode): void {
    if ("code" in client) return close(client);
    if (!open || channels.get(channel) !== "joining") return client.leave();
    channels.set(channel, client);
    send(frame);
  }

  function refused(error: unknown): void {
    failed(error);
    close(tinybaseCodes.forbidden);
  }

  function leave(channel: string): void {
    const client = channels.get(channel);
    channels.delete(channel);
    if (client !== "joining") client?.leave();
  }

  function data(payload: string): void {
    const split = payload.indexOf("\n");
    const client = split < 0 ? undefined : channels.get(payload.slice(0, split));
    if (client === undefined || client === "joining") return close(tinybaseCodes.invalid);
    client.receive(payload.slice(split + 1));
  }

  return {
    message(frame) {
      if (frame.startsWith("M\n")) data(frame.slice(2));
      else if (frame.startsWith("S\n")) control(frame, frame.slice(2));
      else close(tinybaseCodes.invalid);
    },
    close() {
      open = false;
      for (const channel of [...channels.keys()]) leave(channel);
    },
  };
}

function parseControl(payload: string): [requestId: unknown, control: unknown, body: unknown] | undefined {
  try {
    const message: unknown = JSON.parse(payload);
    if (!Array.isArray(message) || message.length !== 3 || message[1] !== CONTROL) return undefined;
    const content: unknown = message[2];
    return Array.isArray(content) && content.length === 2 ? [message[0], content[0], content[1]] : undefined;
  } catch {
    return undefined;
  }
}

function isChannelId(channel: string): boolean {
  return channel !== "" && !/[\n\r?#]/.test(channel) &&
    channel.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}
