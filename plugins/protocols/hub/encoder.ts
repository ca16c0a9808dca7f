import type { ChannelEncoder } from "../../channels.ts";
import { NAMESPACE } from "./names.ts";

/**
 * Publications in the hub's channels are complete messages. If the app subscribes a client to another channel, the
 * client gets its publications as messages of the type `publication`.
 */
export const encoder: ChannelEncoder = {
  publication(channel, { payload: { text }, time }) {
    if (channel.startsWith(`${NAMESPACE}:`)) return text;
    return wrapped("publication", `{"channel":${JSON.stringify(channel)},"data":${text}}`, time);
  },
  join: (channel, { user }) => message("join", { channel, userId: user }),
  leave: (channel, { user }) => message("leave", { channel, userId: user }),
  subscribed: (channel) => message("subscribed", { channel }),
  unsubscribed: (channel, { code, reason }) => message("unsubscribed", { channel, code, reason }),
};

function message(type: string, payload: object): string {
  return wrapped(type, JSON.stringify(payload), Date.now());
}

function wrapped(type: string, payload: string, time: number): string {
  return `{"type":"${type}","payload":${payload},"timestamp":"${new Date(time).toISOString()}"}`;
}
