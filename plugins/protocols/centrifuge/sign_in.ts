/**
 * Signing in by the token of a command, and what the server subscribes a client to.
 *
 * @module
 */

import type { Connection, MaybePromise } from "../../../core/mod.ts";
import type { Access, SignIn } from "../../auth.ts";
import type { Position, SubscribeRequest } from "../../channels.ts";
import { anonymousSignIn, type Identity } from "../../shared/identity.ts";
import { malformed } from "./codes.ts";

/** What the protocol needs of the sign-in. */
export type CentrifugeAccess = Pick<
  Access,
  "connect" | "refresh" | "verifySubscription" | "signsInByMessage" | "allowsOrigin"
>;

/** A client that has signed in. */
export type SignedIn = Pick<SignIn, "identity" | "channels">;

/** Signs a client in; at once on a server without sign-in. */
export function signIn(
  access: CentrifugeAccess | undefined,
  conn: Connection,
  token: string,
): MaybePromise<SignedIn> {
  return access?.connect(conn, token === "" ? {} : { token }) ?? anonymousSignIn;
}

/** What the server subscribes a client to. `positions` are those that the client recovers from. */
export function serverSubscriptions(
  { identity: { user }, channels }: SignedIn,
  positions: ReadonlyMap<string, Position>,
  personalChannels: boolean,
): Map<string, SubscribeRequest> {
  const all = new Map(channels);
  // A comma in a channel's name separates users, so a user whose id has one would share the channel with others.
  if (personalChannels && user !== "" && !user.includes(",")) all.set(`#${user}`, {});
  for (const [channel, request] of all) {
    const recover = positions.get(channel);
    all.set(channel, { recoverable: true, ...request, ...(recover && { recover }), serverSide: true });
  }
  return all;
}

/** Returns the identity after a renewed sign-in. */
export async function renew(
  access: CentrifugeAccess | undefined,
  conn: Connection,
  token: string,
): Promise<Identity> {
  if (access === undefined || token === "") throw malformed("token");
  return (await access.refresh(conn, token)).identity;
}
