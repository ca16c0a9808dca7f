import type { JWTPayload } from "jose";
import { PlugboardError } from "../../core/mod.ts";
import type { SubscribeRequest } from "../channels/types.ts";
import type { Identity } from "../shared/identity.ts";
import { isRecord } from "../shared/records.ts";
import { readGrant, readJson } from "../shared/subscribe_options.ts";
import type { SignIn, SubscriptionOf } from "./types.ts";

/** The claims of a connection token, in the format of Centrifuge's tokens. */
export interface ConnectionClaims
  extends
    Pick<Identity, "user" | "expiresAt" | "info">,
    Pick<SignIn, "channels" | "meta" | "id" | "issuedAt"> {
  readonly permissions?: readonly string[];
}

/** The claims of a subscription token. */
export interface SubscriptionClaims extends Pick<SignIn, "id" | "issuedAt"> {
  readonly user: string;
  readonly request: SubscribeRequest;
}

/** A subscription by the server, without options in the token. */
const PLAIN: SubscribeRequest = { serverSide: true, grant: {} };

/** Parses a connection token. Tokens for other servers may have the user in `id`. */
export function connectionClaims(payload: JWTPayload): ConnectionClaims {
  if (payload["channel"] !== undefined) throw wrong("it is a subscription token");
  return {
    user: userOf(payload),
    channels: channelsOf(payload),
    ...defined({
      permissions: permissionsClaim(payload["permissions"]),
      expiresAt: expiry(payload),
      info: readJson(payload, "info", wrong),
      meta: payload["meta"],
      ...origin(payload),
    }),
  };
}

/** Parses a subscription token, which must match the user, the channel and the client. */
export function subscriptionClaims(payload: JWTPayload, wanted: SubscriptionOf): SubscriptionClaims {
  if (typeof payload["channel"] !== "string") throw wrong("it is not a subscription token");
  const user = userOf(payload);
  const client = textClaim(payload, "client") || wanted.client;
  if (payload["channel"] !== wanted.channel || user !== wanted.user || client !== wanted.client) {
    throw new PlugboardError("token_mismatch", "The token is for another channel, user or client");
  }
  return { user, request: subscription(payload, expiry(payload)), ...defined(origin(payload)) };
}

function origin(payload: JWTPayload) {
  return {
    id: textClaim(payload, "jti"),
    issuedAt: payload.iat === undefined ? undefined : payload.iat * 1000,
  };
}

function userOf(payload: JWTPayload): string {
  const user = payload.sub ?? payload["id"] ?? "";
  if (typeof user === "number" && Number.isSafeInteger(user)) return String(user);
  if (typeof user !== "string") throw wrong("the user's id must be text");
  return user;
}

function expiry({ exp, expire_at: at }: JWTPayload): number | undefined {
  if (at === undefined) return exp === undefined ? undefined : exp * 1000;
  if (typeof at !== "number" || !Number.isFinite(at) || at < 0) throw wrong("expire_at must be a time");
  return at === 0 ? undefined : at * 1000;
}

function channelsOf({ channels, subs }: JWTPayload): ReadonlyMap<string, SubscribeRequest> {
  if (subs !== undefined) {
    if (!isRecord(subs)) throw wrong("subs must be an object");
    return new Map(
      Object.entries(subs).map(([channel, about]) => {
        if (!isRecord(about)) throw wrong("each of subs must be an object");
        return [channel, { ...subscription(about), serverSide: true }];
      }),
    );
  }
  if (channels === undefined) return NO_CHANNELS;
  return new Map(listOfText("channels", channels).map((channel) => [channel, PLAIN]));
}

/** The channels of a sign-in whose token lists none. */
export const NO_CHANNELS: ReadonlyMap<string, SubscribeRequest> = new Map();

function subscription(about: Record<string, unknown>, expiresAt?: number): SubscribeRequest {
  return { grant: { ...readGrant(about, wrong), ...(expiresAt !== undefined && { expiresAt }) } };
}

/** A list, or a text separated by spaces like OAuth's `scope`. */
function permissionsClaim(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  return typeof value === "string" ? value.split(" ").filter(Boolean) : listOfText("permissions", value);
}

function textClaim(claims: Record<string, unknown>, name: string): string | undefined {
  const value = claims[name];
  if (value !== undefined && typeof value !== "string") throw wrong(`${name} must be text`);
  return value;
}

function listOfText(name: string, value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((each) => typeof each === "string")) {
    throw wrong(`${name} must be a list of texts`);
  }
  return value;
}

/** Removes undefined members. */
function defined<T extends object>(all: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const entries = Object.entries(all).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}

/** The reason is for the log. The client learns only that its token is invalid. */
function wrong(reason: string): PlugboardError {
  return new PlugboardError("invalid_token", "Invalid token", { cause: new Error(reason) });
}
