/**
 * The app's own rule for subscribing.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { AuthOptions } from "../auth.ts";
import type { ChannelExtension } from "../channels.ts";

/** Asks the rule before a client subscribes, and again for each of its subscriptions when its identity changes. */
export function subscribeExtension(rule: AuthOptions["subscribeRule"]): ChannelExtension {
  if (rule === undefined) return { name: "auth" };
  return {
    name: "auth",
    async beforeSubscribe({ identity }, channel, { serverSide }) {
      if (serverSide || await rule(identity, channel) === true) return;
      throw new PlugboardError("permission_denied", "Permission denied");
    },
    identified(client) {
      const expel = (channel: string) =>
        void client.expel(channel, { code: 2000, reason: "permission denied" });
      const ask = async (channel: string) => await rule(client.identity, channel) === true || expel(channel);
      for (const { channel, serverSide } of client.subscriptions.values()) {
        if (!serverSide) ask(channel).catch(() => expel(channel)); // A rule that fails denies.
      }
    },
  };
}
