import { type CloseCode, exceedsBytes, type MaybePromise, type Session } from "../../../core/mod.ts";
import type { SyncClient } from "./client.ts";
import { tinybaseCodes } from "./close_codes.ts";

const CONTROL = -1;
const HELLO = 0;
const SUBSCRIBE = 1;
const UNSUBSCRIBE = 2;
const VERSION = 1;

// TinyBase's own limits.
const MAX_CHANNELS = 100;
const MAX_CHANNEL_BYTES = 1_024;

/**
 * Creates a session of TinyBase's multiplexed mode: several stores on one socket, each with a channel and a client. It
 * is used if the client offers the subprotocol `tinybase`. `join` joins the path of a channel, or returns the close code
 * if the client may not.
 */
export function multiplexedSession({ join, send, close }: {
  join: (channel: string) => Promise<SyncClient | CloseCode>;
  send: (frame: string) => void;
  close: (why: CloseCode) => void;
}): Session {
  const channels = new Map<string, SyncClient | "joining">();
  let greeted = false;
  let open = true;

  function control(frame: string): void {
    const [requestId, type, body] = parseControl(frame.slice(2)) ?? [];
    if (type === HELLO && typeof requestId === "string" && body === VERSION) {
      greeted = true;
      return send(frame);
    }
    const subscribes = type === SUBSCRIBE && typeof requestId === "string";
    const unsubscribes = type === UNSUBSCRIBE && requestId === null;
    if (!subscribes && !unsubscribes || typeof body !== "string") return close(tinybaseCodes.invalid);
    if (exceedsBytes(body, MAX_CHANNEL_BYTES)) return close(tinybaseCodes.channels);
    if (!isChannelId(body)) return close(tinybaseCodes.invalid);
    if (unsubscribes) leave(body);
    else if (greeted) subscribe(body, frame);
  }

  async function subscribe(channel: string, frame: string): Promise<void> {
    if (channels.has(channel)) return send(frame);
    if (channels.size >= MAX_CHANNELS) return close(tinybaseCodes.channels);
    channels.set(channel, "joining");
    const client = await join(channel);
    if ("code" in client) return close(client);
    if (!open || channels.get(channel) !== "joining") return client.leave();
    channels.set(channel, client);
    send(frame);
  }

  function leave(channel: string): void {
    const client = channels.get(channel);
    channels.delete(channel);
    if (client !== "joining") client?.leave();
  }

  function data(payload: string): MaybePromise<void> {
    const split = payload.indexOf("\n");
    const client = split < 0 ? undefined : channels.get(payload.slice(0, split));
    if (client === undefined || client === "joining") return close(tinybaseCodes.invalid);
    return client.receive(payload.slice(split + 1));
  }

  return {
    message(frame) {
      if (frame.startsWith("M\n")) return data(frame.slice(2));
      if (frame.startsWith("S\n")) control(frame);
      else close(tinybaseCodes.invalid);
    },
    close() {
      open = false;
      for (const channel of [...channels.keys()]) leave(channel);
    },
  };
}

function parseControl(payload: string): [requestId: unknown, type: unknown, body: unknown] | undefined {
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
