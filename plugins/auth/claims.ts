/**
 * Claims: what a token says, in the form in which Centrifuge's tokens say it.
 *
 * @module
 */

import type { JWTPayload } from "jose";
import { PlugboardError } from "../../core/mod.ts";
import type { SubscribeRequest } from "../channels/types.ts";
import type { SubscriptionOf } from "./types.ts";

/** What a connection token says; what it leaves to the server is absent. */
export interface ConnectionClaims {
  /** Empty for somebody anonymous. */
  readonly user: string;
  readonly permissions?: readonly string[];
  readonly expiresAt?: number;
  readonly info?: string;
  readonly channels: ReadonlyMap<string, SubscribeRequest>;
  readonly meta?: unknown;
  readonly id?: string;
  readonly issuedAt?: number;
}

/** What a subscription token says. */
export interface SubscriptionClaims {
  readonly user: string;
  readonly request: SubscribeRequest;
  readonly id?: string;
  readonly issuedAt?: number;
}

/** Where a subscription stands that the server made and the token says nothing about. */
const PLAIN: SubscribeRequest = { serverSide: true, grant: {} };

/** Reads a connection token; the user may stand in `id`, as tokens made for other servers have it. */
export function connectionClaims(payload: JWTPayload): ConnectionClaims {
  if (payload["channel"] !== undefined) throw wrong("a subscription token opens no connection");
  return {
    user: userOf(payload),
    channels: channelsOf(payload),
    ...defined({
      permissions: permissionsClaim(payload["permissions"]),
      expiresAt: expiry(payload),
      info: jsonClaim(payload, "info", "b64info"),
      meta: payload["meta"],
      ...origin(payload),
    }),
  };
}

/** Reads a subscription token, which must be for this user and channel. */
export function subscriptionClaims(payload: JWTPayload, wanted: SubscriptionOf): SubscriptionClaims {
  if (typeof payload["channel"] !== "string") throw wrong("it is no subscription token");
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
    if (!isObject(subs)) throw wrong("subs must be an object");
    return new Map(
      Object.entries(subs).map(([channel, about]) => {
        if (!isObject(about)) throw wrong("each of subs must be an object");
        return [channel, { ...subscription(about), serverSide: true }];
      }),
    );
  }
  if (channels === undefined) return NO_CHANNELS;
  return new Map(listOfText("channels", channels).map((channel) => [channel, PLAIN]));
}

const NO_CHANNELS: ReadonlyMap<string, SubscribeRequest> = new Map();

function subscription(about: Record<string, unknown>, expiresAt?: number): SubscribeRequest {
  const { override = {} } = about;
  if (!isObject(override)) throw wrong("override must be an object");
  const forced = (name: string) => isObject(override[name]) && override[name]["value"] === true || undefined;
  return {
    grant: defined({
      chanInfo: jsonClaim(about, "info", "b64info"),
      data: jsonClaim(about, "data", "b64data"),
      expiresAt,
    }),
    ...defined({
      recoverable: forced("force_recovery"),
      positioned: forced("force_positioning"),
      joinLeave: forced("force_push_join_leave"),
    }),
  };
}

/** A list, or texts separated by spaces as in OAuth's `scope`. */
function permissionsClaim(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  return typeof value === "string" ? value.split(" ").filter(Boolean) : listOfText("permissions", value);
}

/** A claim as JSON text: any JSON value, or the text of one in base64. */
function jsonClaim(claims: Record<string, unknown>, plain: string, encoded: string): string | undefined {
  if (claims[plain] !== undefined) return JSON.stringify(claims[plain]);
  const base64 = textClaim(claims, encoded);
  if (base64 === undefined) return undefined;
  try {
    const bytes = Uint8Array.fromBase64(base64);
    return JSON.stringify(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch {
    throw wrong(`${encoded} must be JSON in base64; other bytes cannot be sent to JSON clients`);
  }
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

/** The object without what is undefined in it. */
function defined<T extends object>(all: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const entries = Object.entries(all).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The reason is for the log; the client is told no more than that its token is invalid. */
function wrong(reason: string): PlugboardError {
  return new PlugboardError("invalid_token", "Invalid token", { cause: new Error(reason) });
}
