import { type MaybePromise, messageOf, PlugboardError } from "../../core/mod.ts";
import type { SubscribeRequest } from "../channels/types.ts";
import { BackendError } from "../shared/backend_error.ts";
import { isLocal } from "../shared/client_ip.ts";
import type { Identity } from "../shared/identity.ts";
import type { ApiKeys } from "./api_keys.ts";
import { connectionClaims, NO_CHANNELS, subscriptionClaims } from "./claims.ts";
import { cachedPermissions } from "./permissions.ts";
import type { Revocations } from "./revocations.ts";
import type { ConnectQuestion, SignInBackend } from "./sign_in_backend.ts";
import type { Tokens } from "./tokens.ts";
import type {
  ApiKeyInfo,
  AppUser,
  Credentials,
  Question,
  SignIn,
  SignInGuard,
  SubscriptionOf,
} from "./types.ts";

/** What anonymous clients are. */
export interface AnonymousOptions {
  /** Their permissions; by default to read everything. @default {["read:*"]} */
  permissions?: readonly string[];
  /**
   * Their user id: `none` (all have the id `""`), one that the server has `made` for the connection, so another after a reload, or the
   * one that the client has `given`, without proof.
   * @default {"none"}
   */
  user?: "none" | "made" | "given";
}

/** What the signer works with. */
export interface SignerParts {
  /** Whether the server has no sign-in. */
  readonly open: boolean;
  readonly tokens: Tokens | undefined;
  readonly keys: ApiKeys;
  readonly revocations: Revocations;
  readonly limits: SignInGuard | undefined;
  /** The permissions of a token that lists none. */
  readonly permissions: readonly string[];
  readonly anonymous: AnonymousOptions | undefined;
  readonly appSignIn: ((credentials: Credentials) => MaybePromise<AppUser | undefined>) | undefined;
  readonly backend: SignInBackend | undefined;
  readonly rule: ((question: Question) => boolean | undefined) | undefined;
  readonly now: () => number;
  /** Called with the result of each check: `ok` or an error code. */
  readonly checked: (result: string, ip: string, reason?: string) => void;
  /** Called when the app's rule throws. */
  readonly ruleFailed: (error: unknown) => void;
}

/** Turns credentials into sign-ins. */
export interface Signer {
  /** Checks the credentials; `undefined` if there are none. No promise where nothing waits. */
  signIn(credentials: Credentials): MaybePromise<SignIn | undefined>;
  /** Asks the backend who a client is; `undefined` if it may only be anonymous. */
  byBackend(question: ConnectQuestion): Promise<SignIn | undefined>;
  /** Checks a token, without rate limits. */
  byToken(token: string): Promise<SignIn>;
  subscription(token: string, subscription: SubscriptionOf): Promise<SubscribeRequest>;
  /**
   * Returns an anonymous sign-in; throws `unauthorized` with the `refusal` if those are not allowed, or not from other
   * machines.
   */
  anonymous(user?: string, local?: boolean, refusal?: string): SignIn;
  /** Whether a sign-in by token is revoked. */
  revoked(signIn: SignIn): boolean;
  /** Throws if it is revoked. */
  recheck(signIn: SignIn): void;
}

const ADMIN = ["admin"];
const READ_ALL = ["read:*"];

/** Makes a signer. */
export function signer(parts: SignerParts): Signer {
  const { open, tokens, keys, revocations, limits, rule, now } = parts;
  const permissionsOf = cachedPermissions();
  /** Backends send many requests with the same key. */
  const byInfo = new WeakMap<ApiKeyInfo, SignIn>();
  /** Clients without a name are equal. */
  const nameless = new Map<readonly string[], SignIn>();

  function make(user: string, list: readonly string[], about: Partial<SignIn> & AboutUser = {}): SignIn {
    const { expiresAt, info, anonymous, ...rest } = about;
    const permissions = permissionsOf(list);
    const identity: Identity = {
      user,
      can: rule === undefined
        ? permissions.can
        : (verb, resource) => decide({ identity, verb, resource }) ?? permissions.can(verb, resource),
      ...(expiresAt !== undefined && { expiresAt }),
      ...(info !== undefined && { info }),
      ...(anonymous && { anonymous }),
    };
    return { channels: NO_CHANNELS, ...rest, identity, permissions: permissions.list };
  }

  function shared(list: readonly string[], about?: AboutUser): SignIn {
    return nameless.getOrInsertComputed(list, () => make("", list, about));
  }

  /** Asks the app's rule; a rule that throws denies. */
  function decide(question: Question): boolean | undefined {
    try {
      return rule!(question);
    } catch (error) {
      parts.ruleFailed(error);
      return false;
    }
  }

  async function byToken(token: string): Promise<SignIn> {
    if (tokens === undefined) throw invalid("no secret or key to verify tokens");
    const { user, permissions = parts.permissions, ...about } = connectionClaims(
      await tokens.verify(token, now()),
    );
    if (user === "" && parts.anonymous === undefined) {
      throw new PlugboardError("permission_denied", "Permission denied");
    }
    if ((about.expiresAt ?? Infinity) <= now()) throw new PlugboardError("token_expired", "Token expired");
    const signIn = make(user, permissions, { ...about, ...(user === "" && { anonymous: true }) });
    recheck(signIn);
    return signIn;
  }

  function byKey(key: string): SignIn {
    const found = keys.find(key, now());
    if (found === undefined || revocations.coversKey(found.hash)) {
      throw invalid("unknown API key", "Invalid API key");
    }
    const { name, permissions, user = "", expiresAt } = found.info;
    return byInfo.getOrInsertComputed(
      found.info,
      () => make(user, permissions, { apiKey: name, ...(expiresAt !== undefined && { expiresAt }) }),
    );
  }

  function byApp({ user, permissions = parts.permissions, info, channels = [], ...rest }: AppUser): SignIn {
    return make(user, permissions, {
      ...rest,
      ...(info !== undefined && { info: JSON.stringify(info) }),
      channels: new Map(channels.map((channel) => [channel, { serverSide: true, grant: {} }])),
      issuedAt: now(),
      ...(user === "" && { anonymous: true }),
    });
  }

  function byCredentials(credentials: Credentials): MaybePromise<SignIn | undefined> {
    const { token, apiKey } = credentials;
    // Without sign-in, only the API key of a client on another machine matters.
    if (open && (apiKey === undefined || isLocal(credentials))) return undefined;
    if (token === undefined && apiKey === undefined) return undefined;
    return check(credentials);
  }

  async function check({ token, apiKey, ip }: Credentials): Promise<SignIn> {
    await limits?.attempt(ip);
    try {
      const signIn = token === undefined ? byKey(apiKey!) : await byToken(token);
      parts.checked("ok", ip);
      return signIn;
    } catch (error) {
      if (!(error instanceof PlugboardError)) throw error;
      if (error.code === "invalid_token") limits?.failed(ip);
      parts.checked(error.code, ip, messageOf(error.cause));
      throw error;
    }
  }

  async function byBackend(question: ConnectQuestion): Promise<SignIn | undefined> {
    await limits?.attempt(question.ip);
    try {
      const found = await parts.backend?.connect?.(question);
      if (found === undefined) return undefined;
      const { user, permissions = parts.permissions, info, ...about } = found;
      const signIn = make(user, permissions, {
        ...about,
        ...(info !== undefined && { info: JSON.stringify(info) }),
        issuedAt: now(),
        ...(user === "" && { anonymous: true }),
      });
      parts.checked("ok", question.ip);
      return signIn;
    } catch (error) {
      if (!(error instanceof PlugboardError)) throw error;
      if (error instanceof BackendError && !error.temporary) limits?.failed(question.ip);
      parts.checked(error.code, question.ip, error.message);
      throw error;
    }
  }

  function revoked(signIn: SignIn): boolean {
    return signIn.apiKey === undefined && revocations.covers(signIn, signIn.identity.user);
  }

  function recheck(signIn: SignIn): void {
    if (revoked(signIn)) throw invalid("the token is revoked");
  }

  return {
    byToken,
    byBackend,
    revoked,
    recheck,
    signIn(credentials) {
      if (parts.appSignIn === undefined) return byCredentials(credentials);
      // Not by `chain`: the promises of a database client may be of a class of its own.
      return Promise.try(parts.appSignIn, credentials)
        .then((user) => user === undefined ? byCredentials(credentials) : byApp(user));
    },
    async subscription(token, wanted) {
      if (open) return {}; // every client may subscribe, as if it had sent none
      if (tokens === undefined) throw invalid("no secret or key to verify tokens");
      const claims = subscriptionClaims(await tokens.verify(token, now()), wanted);
      if (revocations.covers(claims, claims.user)) throw invalid("the token is revoked");
      return claims.request;
    },
    anonymous(user = "", local = true, refusal = "Authentication required for WebSocket connection") {
      // A client on another machine came through a proxy: the server is not as private as its address suggests.
      if (open && local) return user === "" ? shared(ADMIN) : make(user, ADMIN);
      if (parts.anonymous === undefined) {
        throw new PlugboardError("unauthorized", refusal);
      }
      const { permissions = READ_ALL, user: ids = "none" } = parts.anonymous;
      const id = ids === "made" ? `anonymous-${crypto.randomUUID()}` : ids === "given" ? user : "";
      return id === ""
        ? shared(permissions, { anonymous: true })
        : make(id, permissions, { anonymous: true });
    },
  };
}

type AboutUser = Partial<Pick<Identity, "expiresAt" | "info" | "anonymous">>;

/** The reason is for the log. The client learns only that its credentials are invalid. */
function invalid(reason: string, message = "Invalid token"): PlugboardError {
  return new PlugboardError("invalid_token", message, { cause: new Error(reason) });
}
