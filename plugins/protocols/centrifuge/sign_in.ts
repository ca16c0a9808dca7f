/**
 * The answer to `connect`: who the client is, and what the server subscribes it to.
 *
 * @module
 */

import type { Connection } from "../../../core/mod.ts";
import type { Access, SignIn } from "../../auth.ts";
import type { SubscribeRequest } from "../../channels.ts";
import { anonymousSignIn, type Identity } from "../../shared/identity.ts";
import { type Fields, malformed, recovery, text, within } from "./fields.ts";

/** What the protocol asks of sign-in. */
export type CentrifugeAccess = Pick<
  Access,
  "connect" | "refresh" | "verifySubscription" | "signsInByMessage" | "allowsOrigin"
>;

/** Signs a client in by the token of its connect command; at once where there is no sign-in. */
export function signIn(
  access: CentrifugeAccess | undefined,
  conn: Connection,
  params: Fields,
): Promise<Pick<SignIn, "identity" | "channels">> | Pick<SignIn, "identity" | "channels"> {
  const token = text(params, "token");
  return access?.connect(conn, token === "" ? {} : { token }) ?? anonymousSignIn;
}

/** What the server subscribes a client to, each from where the client says it was. */
export function serverSubscriptions(
  { identity: { user }, channels }: Pick<SignIn, "identity" | "channels">,
  params: Fields,
  personalChannels: boolean,
): Map<string, SubscribeRequest> {
  const positions = within(params, "subs") ?? {};
  const all = new Map(channels);
  // In a channel's name a comma separates users: such a user's own channel would be others' too.
  if (personalChannels && user !== "" && !user.includes(",")) all.set(`#${user}`, {});
  for (const [channel, request] of all) {
    const wish = Object.hasOwn(positions, channel) ? within(positions, channel) : undefined;
    all.set(channel, { recoverable: true, ...request, ...(wish && recovery(wish)), serverSide: true });
  }
  return all;
}

/** The newer identity of a client that renews its sign-in. */
export async function renew(
  access: CentrifugeAccess | undefined,
  conn: Connection,
  params: Fields,
): Promise<Identity> {
  const token = text(params, "token");
  if (access === undefined || token === "") throw malformed("token");
  return (await access.refresh(conn, token)).identity;
}
