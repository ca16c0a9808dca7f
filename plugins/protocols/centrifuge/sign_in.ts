/**
 * What a sign-in decides: the identity of a client, and what the server subscribes it to.
 *
 * @module
 */

import type { Connection } from "../../../core/mod.ts";
import type { AboutClient, Access, SignIn } from "../../auth.ts";
import type { Position, SubscribeRequest } from "../../channels.ts";
import type { Codec, Command } from "./codec.ts";

/** What the protocol needs of the sign-in. */
export type CentrifugeAccess = Pick<
  Access,
  "connect" | "refresh" | "verifySubscription" | "signsInByMessage" | "allowsOrigin"
>;

/** What a session needs of a sign-in. */
export type GivenSignIn = Pick<SignIn, "identity" | "channels"> & { readonly data?: string | undefined };

/**
 * What the server subscribes a client to. `positions` are those that the client recovers from. It has some of them by
 * calls of the app during an earlier connection; these it resumes.
 */
export function serverSubscriptions(
  { identity: { user }, channels }: GivenSignIn,
  positions: ReadonlyMap<string, Position>,
  personalChannels: boolean,
): ReadonlyMap<string, SubscribeRequest> {
  if (channels.size === 0 && positions.size === 0 && !personalChannels) return channels;
  const all = new Map(channels);
  // A comma in a channel's name separates users, so a user whose id has one would share the channel with others.
  if (personalChannels && user !== "" && !user.includes(",")) all.set(`#${user}`, {});
  for (const [channel, request] of all) {
    const recover = positions.get(channel);
    all.set(channel, { recoverable: true, ...request, ...(recover && { recover }), serverSide: true });
  }
  for (const [channel, recover] of positions) {
    if (!all.has(channel)) all.set(channel, { recoverable: true, recover, resumed: true });
  }
  return all;
}

/** What a client tells about itself, for a backend. */
export function describeClient(
  { endpoint }: Connection,
  { subprotocol }: Codec,
  { data, clientName, clientVersion, headers, subs }: Command<"connect">,
): AboutClient {
  const [, transport = "websocket"] = endpoint.name.split(" ");
  return {
    transport,
    protocol: subprotocol === "centrifuge-protobuf" ? "protobuf" : "json",
    data,
    name: clientName,
    version: clientVersion,
    headers,
    channels: [...subs.keys()],
  };
}
