import type { ChannelEncoder } from "../../channels.ts";
import type { MessageWriter } from "./messages.ts";

/** The namespace of the chat's channels. Apps may have channels such as `chat:lobby` of their own. */
export const NAMESPACE = "@chat";

/** The channel of everyone in a room. */
export function roomChannel(roomId: string): string {
  return `${NAMESPACE}:room:${roomId}`;
}

/**
 * The channel with a room's history. It has no subscribers: messages of a room exclude their sender, which a channel
 * with history cannot do.
 */
export function logChannel(roomId: string): string {
  return `${NAMESPACE}:log:${roomId}`;
}

/** Publications in rooms are complete messages. What the app sends to a client becomes a system message. */
export function encoderFor(messages: MessageWriter): ChannelEncoder {
  const system = (channel: string, content: string) =>
    JSON.stringify(messages.system("system", channel, content));
  return {
    publication: (channel, { payload: { text } }) =>
      channel.startsWith(`${NAMESPACE}:`) ? text : system(channel, text),
    join: (channel, { user }) => system(channel, `${user} joined`),
    leave: (channel, { user }) => system(channel, `${user} left`),
    subscribed: (channel) => system(channel, "subscribed"),
    unsubscribed: (channel, { reason }) => system(channel, reason),
  };
}
