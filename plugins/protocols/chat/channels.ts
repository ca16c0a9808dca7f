/**
 * The channels of rooms, and how their clients are written to.
 *
 * @module
 */

import type { ChannelEncoder, NamespaceOptions } from "../../channels.ts";
import type { HistoryOptions } from "./history.ts";
import type { MessageWriter } from "./messages.ts";

/** The namespace of the chat's channels: apps have channels such as `chat:lobby` of their own. */
export const NAMESPACE = "@chat";

/** Everybody in a room. */
export function roomChannel(roomId: string): string {
  return `${NAMESPACE}:room:${roomId}`;
}

/** What was said in a room. Nobody subscribes to it: who speaks must not hear themselves, and a log leaves out nobody. */
export function logChannel(roomId: string): string {
  return `${NAMESPACE}:log:${roomId}`;
}

/** What the channels offer: to clients of other protocols nothing. */
export function namespaceOptions(
  history: Required<Omit<HistoryOptions, "broker">> & HistoryOptions | undefined,
) {
  return {
    historySize: history?.messages ?? 0,
    historyMs: history?.ms ?? 0,
    ...(history?.broker && { broker: history.broker }),
    recovery: "off",
    presence: false,
    joinLeave: "off",
    subscribe: "nobody",
    publish: "nobody",
    presenceAccess: "nobody",
    historyAccess: "nobody",
  } as const satisfies NamespaceOptions;
}

/** What is published in a room is a message already; what the app does with a client is told by the system. */
export function encoderFor(messages: MessageWriter): ChannelEncoder {
  const tell = (channel: string, content: string) =>
    JSON.stringify(messages.system("system", channel, content));
  return {
    publication: (channel, { payload: { text } }) =>
      channel.startsWith(`${NAMESPACE}:`) ? text : tell(channel, text),
    join: (channel, { user }) => tell(channel, `${user} joined`),
    leave: (channel, { user }) => tell(channel, `${user} left`),
    subscribed: (channel) => tell(channel, "subscribed"),
    unsubscribed: (channel, { reason }) => tell(channel, reason),
  };
}
