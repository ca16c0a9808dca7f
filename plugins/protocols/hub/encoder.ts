/**
 * What the channel service has to say, as messages of the hub.
 *
 * @module
 */

import type { ChannelEncoder } from "../../channels.ts";
import { NAMESPACE } from "./names.ts";

/**
 * Publications of the hub's own channels are messages already. When the app subscribes a client to another channel,
 * it gets what is published there as messages of the type `publication`.
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
