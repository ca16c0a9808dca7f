/**
 * The signer: turns proofs into sign-ins.
 *
 * @module
 */

import { type MaybePromise, messageOf, PlugboardError } from "../../core/mod.ts";
import type { SubscribeRequest } from "../channels/types.ts";
import type { Identity } from "../shared/identity.ts";
import type { ApiKeys } from "./api_keys.ts";
import { connectionClaims, subscriptionClaims } from "./claims.ts";
import { rememberPermissions } from "./permissions.ts";
import type { Revocations } from "./revocations.ts";
import type { Tokens } from "./tokens.ts";
import type { AppUser, Brought, Question, SignIn, SignInGuard, SubscriptionOf } from "./types.ts";

/** Somebody without proof. */
export interface AnonymousOptions {
  /** What they may do. @default {["read:*"]} */
  permissions?: readonly string[];
  /**
   * Their id: `none`, one that the server has `made`, or the one that was `given`, which anybody may give.
   * @default {"none"}
   */
  user?: "none" | "made" | "given";
}

/** What the signer works with. */
export interface SignerParts {
  readonly open: boolean;
  readonly tokens: Tokens | undefined;
  readonly keys: ApiKeys;
  readonly revocations: Revocations;
  readonly limits: SignInGuard | undefined;
  /** Those of a token that lists none. */
  readonly permissions: readonly string[];
  readonly anonymous: AnonymousOptions | undefined;
  readonly appSignIn: ((brought: Brought) => MaybePromise<AppUser | undefined>) | undefined;
  readonly rule: ((question: Question) => boolean | undefined) | undefined;
  readonly now: () => number;
  /** A proof was checked: it is `ok`, or worth nothing because of this code. */
  readonly settled: (result: string, ip: string, reason?: string) => void;
  /** A rule of the app has failed. */
  readonly ruleFailed: (error: unknown) => void;
}

/** Turns proofs into sign-ins. */
export interface Signer {
  /** The sign-in for what a client brought; nothing if that is no proof. */
  prove(brought: Brought): Promise<SignIn | undefined>;
  /** The same for a token alone, without a guard. */
  byToken(token: string): Promise<SignIn>;
  subscription(token: string, subscription: SubscriptionOf): Promise<SubscribeRequest>;
  /** Somebody without proof; throws if such are not let in, or not from elsewhere (`local`). */
  anonymous(user?: string, local?: boolean): SignIn;
  /** Whether a sign-in by token was revoked. */
  revoked(signIn: SignIn): boolean;
  /** Throws if it was. */
  recheck(signIn: SignIn): void;
}

/** What the server answers whoever brings no proof where one is needed. */
const REQUIRED = "Authentication required for WebSocket connection";
const NO_CHANNELS: ReadonlyMap<string, SubscribeRequest> = new Map();

/** Puts a signer together. */
export function signer(parts: SignerParts): Signer {
  const { open, tokens, keys, revocations, limits, rule, now } = parts;
  const permissionsOf = rememberPermissions();

  function signIn(user: string, list: readonly string[], about: Partial<SignIn> & AboutUser = {}): SignIn {
    const { expiresAt, info, anonymous, ...rest } = about;
    const permissions = permissionsOf(list);
    const identity: Identity = {
      user,
      can: rule === undefined
        ? permissions.can
        : (verb, resource) => answer({ identity, verb, resource }) ?? permissions.can(verb, resource),
      ...(expiresAt !== undefined && { expiresAt }),
      ...(info !== undefined && { info }),
      ...(anonymous && { anonymous }),
    };
    return { channels: NO_CHANNELS, ...rest, identity, permissions: permissions.list };
  }

  /** The app's rule; one that fails denies. */
  function answer(question: Question): boolean | undefined {
    try {
      return rule!(question);
    } catch (error) {
      parts.ruleFailed(error);
      return false;
    }
  }

  async function byToken(token: string): Promise<SignIn> {
    if (tokens === undefined) throw invalid("there is nothing to check tokens by");
    const { user, permissions = parts.permissions, ...about } = connectionClaims(
      await tokens.verify(token, now()),
    );
    if (user === "" && parts.anonymous === undefined) {
      throw new PlugboardError("permission_denied", "Permission denied");
    }
    if ((about.expiresAt ?? Infinity) <= now()) throw new PlugboardError("token_expired", "Token expired");
    const proven = signIn(user, permissions, { ...about, ...(user === "" && { anonymous: true }) });
    recheck(proven);
    return proven;
  }

  function byKey(key: string): SignIn {
    const found = keys.find(key, now());
    if (found === undefined || revocations.coversKey(found.hash)) {
      throw invalid("no such API key", "Invalid API key");
    }
    const { name, permissions, user = "", expiresAt } = found.info;
    return signIn(user, permissions, { apiKey: name, ...(expiresAt !== undefined && { expiresAt }) });
  }

  function byApp({ user, permissions = parts.permissions, info, channels = [], ...rest }: AppUser): SignIn {
    return signIn(user, permissions, {
      ...rest,
      ...(info !== undefined && { info: JSON.stringify(info) }),
      channels: new Map(channels.map((channel) => [channel, { serverSide: true, grant: {} }])),
      issuedAt: now(),
      ...(user === "" && { anonymous: true }),
    });
  }

  function revoked({ apiKey, identity, ...about }: SignIn): boolean {
    return apiKey === undefined && revocations.covers({ ...about, user: identity.user });
  }

  function recheck(proven: SignIn): void {
    if (revoked(proven)) throw invalid("the token was revoked");
  }

  return {
    byToken,
    revoked,
    recheck,
    async prove(brought) {
      const { token, apiKey, ip } = brought;
      const user = await parts.appSignIn?.(brought);
      if (user !== undefined) return byApp(user);
      if (open || (token === undefined && apiKey === undefined)) return undefined;
      await limits?.attempt(ip);
      try {
        const proven = token === undefined ? byKey(apiKey!) : await byToken(token);
        parts.settled("ok", ip);
        return proven;
      } catch (error) {
        if (!(error instanceof PlugboardError)) throw error;
        if (error.code === "invalid_token") limits?.failed(ip);
        parts.settled(error.code, ip, messageOf(error.cause));
        throw error;
      }
    },
    async subscription(token, wanted) {
      if (tokens === undefined) throw invalid("there is nothing to check tokens by");
      const { request, ...about } = subscriptionClaims(await tokens.verify(token, now()), wanted);
      if (revocations.covers(about)) throw invalid("the token was revoked");
      return request;
    },
    anonymous(user = "", local = true) {
      // Whoever comes from elsewhere has come through a proxy: an open server is not as private as it looks.
      if (open && local) return signIn(user, ["admin"]);
      if (parts.anonymous === undefined) throw new PlugboardError("unauthorized", REQUIRED);
      const { permissions = ["read:*"], user: ids = "none" } = parts.anonymous;
      const id = ids === "made" ? `anonymous-${crypto.randomUUID()}` : ids === "given" ? user : "";
      return signIn(id, permissions, { anonymous: true });
    },
  };
}

type AboutUser = { readonly expiresAt?: number; readonly info?: string; readonly anonymous?: true };

/** The reason is for the log; whoever tries is told no more than that it was wrong. */
function invalid(reason: string, message = "Invalid token"): PlugboardError {
  return new PlugboardError("invalid_token", message, { cause: new Error(reason) });
}
