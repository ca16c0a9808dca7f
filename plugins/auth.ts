/**
 * Sign-in: who somebody is and what they may do, by tokens, API keys or the app's own check.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { auth } from "@plugboard/server/auth";
 *
 * const server = new Server({ port: 0 });
 * const access = server.use(auth({ jwt: { secret: "at least thirty-two bytes of secret" } }));
 *
 * access.addApiKey("a-long-random-text", { name: "backend", permissions: ["write:news"] });
 * const { success, error } = await access.authenticateConnection("no token at all");
 * console.log(success, error);
 * ```
 *
 * Without a secret, keys or a check of the app's own, everybody on this machine may do everything; such a server
 * does not start on another address. Whoever comes with a token or a key is that user on every protocol. Clients of
 * a protocol that signs in by a message are let in first and watched by the protocol; all others have to bring their
 * proof with the request.
 *
 * @module
 */

import {
  checkOptions,
  closeCode,
  type Host,
  type MaybePromise,
  PlugboardError,
  type Plugin,
  systemClock,
} from "../core/mod.ts";
import { type ApiKey, ApiKeys } from "./auth/api_keys.ts";
import { entrance } from "./auth/entrance.ts";
import { authMiddleware } from "./auth/http.ts";
import { originCheck } from "./shared/origins.ts";
import { type Kept, Revocations } from "./auth/revocations.ts";
import { Sessions } from "./auth/sessions.ts";
import { type AnonymousOptions, signer } from "./auth/signer.ts";
import { type JwtOptions, tokenVerifier } from "./auth/tokens.ts";
import type { Access, AppUser, Brought, ProofCarrier, Question, SignIn, SignInGuard } from "./auth/types.ts";
import { isLoopback } from "./shared/client_ip.ts";
import type { Identity } from "./shared/identity.ts";
import type { KeyValueStore } from "./shared/key_value_store.ts";
import type { Metrics } from "./shared/metrics.ts";

export { type ApiKey, parseApiKeys } from "./auth/api_keys.ts";
export type { JwksOptions } from "./auth/jwks.ts";
export type { AnonymousOptions } from "./auth/signer.ts";
export type { Algorithm, JwtOptions } from "./auth/tokens.ts";
export type * from "./auth/types.ts";
export type { Identity, Verb } from "./shared/identity.ts";
export type { KeyValueStore } from "./shared/key_value_store.ts";
export type { Counter, Metrics } from "./shared/metrics.ts";

/** Options of {@linkcode auth}. */
export interface AuthOptions {
  /** How tokens are checked. */
  jwt?: JwtOptions | undefined;
  /** Keys for backends. */
  apiKeys?: readonly ApiKey[];
  /** The app's own check, asked first: by a session cookie, say. Whom it does not know may bring another proof. */
  signIn?: (brought: Brought) => MaybePromise<AppUser | undefined>;
  /** Whether somebody without proof is let in, and what they may do. @default {false} */
  anonymous?: boolean | AnonymousOptions;
  /** What somebody may do whose token does not say. @default {["read:*", "write:*"]} */
  permissions?: readonly string[];
  /** The app's own rule: allows, denies, or leaves it to the permissions. Not `async`: it is asked for every publish. */
  rule?: (question: Question) => boolean | undefined;
  /** The same before each subscribe, with time to look something up; it can only deny. */
  subscribeRule?: (identity: Identity, channel: string) => MaybePromise<boolean>;
  /** Pages that may connect beside the server's own: `https://example.com`, `https://*.example.com`, `*`. */
  origins?: readonly string[];
  /** Where the server listens, as it was told. @default {"127.0.0.1"} */
  hostname?: string;
  /** Slows down those who guess. */
  limits?: SignInGuard;
  /** Keeps revocations over a restart. */
  keep?: KeyValueStore;
  /** Counts sign-ins. */
  metrics?: Pick<Metrics, "counter">;
  /** How long before its sign-in ends a client is told, where its protocol can. @default {30000} */
  warnMs?: number;
  /** How long after the end a client may still renew it. @default {25000} */
  graceMs?: number;
}

/** How often it is looked whose sign-in ends, and which revocations may be forgotten. */
const EXPIRY_SWEEP_MS = 1_000;
const PRUNE_MS = 3_600_000;

const revoked = closeCode(3500, "token revoked");

/** Lets in whoever proves who they are. */
export function auth(options: AuthOptions = {}): Plugin<Access> {
  const { jwt, apiKeys = [], anonymous = false, permissions = ["read:*", "write:*"], origins = [] } = options;
  const { hostname = "127.0.0.1", limits, keep, warnMs = 30_000, graceMs = 25_000 } = options;
  const check = checkOptions("auth");
  check.filled("hostname", hostname);
  check.wholeNumber("warnMs", warnMs);
  check.wholeNumber("graceMs", graceMs);

  const exposed = !isLoopback(hostname);
  const open = jwt === undefined && apiKeys.length === 0 && options.signIn === undefined &&
    anonymous === false;
  const { allowsOrigin, admits } = originCheck("auth", { allowed: origins, exposed, open });

  let host: Host | undefined;
  let release: (() => void)[] = [];
  const now = () => (host?.clock ?? systemClock).now();

  const keys = new ApiKeys();
  for (const { key, ...about } of apiKeys) keys.add(key, about, now());
  const tokens = jwt && tokenVerifier(jwt);
  const signIns = options.metrics?.counter("plugboard_sign_ins_total", "Proofs checked, by result", [
    "result",
  ]);
  const revocations = new Revocations();
  const sessions = new Sessions({ warnMs, graceMs });
  const sign = signer({
    open,
    tokens,
    keys,
    revocations,
    limits,
    permissions,
    anonymous: anonymous === true ? {} : anonymous || undefined,
    appSignIn: options.signIn,
    rule: options.rule,
    ruleFailed: (error) => host?.log.error("the app's rule failed, so the answer is no", { error }),
    now,
    settled: (result, ip, reason) => {
      signIns?.add(1, result);
      if (result !== "ok") host?.log.debug("sign-in refused", { result, ip, reason });
    },
  });
  const door = entrance({ open, sign, sessions, limits, admits });
  const proven = new WeakMap<ProofCarrier, SignIn>();

  /** A middleware and a handler may both ask about a request; it is checked once. */
  async function proveOnce(request: ProofCarrier, ip = "unknown"): Promise<SignIn> {
    const signIn = proven.get(request) ?? await door.prove(request, ip);
    proven.set(request, signIn);
    return signIn;
  }

  async function revoke(kept: Kept, holds: (signIn: SignIn) => boolean): Promise<number> {
    const closed = sessions.closeWhere(holds, revoked);
    await keep?.set(...kept);
    return closed;
  }

  async function prune(): Promise<void> {
    for (const key of revocations.prune(now())) await keep?.delete(key);
  }

  const { connect, refresh, identityOf, signsInByMessage, refusal } = door;
  const api: Access = {
    open,
    extension: subscribeExtension(options.subscribeRule),
    connect,
    refresh,
    identityOf,
    signsInByMessage,
    refusal,
    allowsOrigin,
    signInOf: (conn) => sessions.get(conn),
    prolong: (conn, expiresAt) => sessions.prolong(conn, expiresAt),
    verify: (token) => sign.byToken(token),
    verifySubscription: (token, subscription) => sign.subscription(token, subscription),
    anonymous: (user) => sign.anonymous(user),
    requestIdentity: async (request, ip) => (await proveOnce(request, ip)).identity,
    allowPath(upgrade, path) {
      const resource = `path:${path}`;
      const refused = refusal(upgrade, "read", resource);
      if (refused !== undefined) return refused;
      return refusal(upgrade, "write", resource) === undefined ? "write" : "read";
    },
    allowRequest: (verb, resource) => async (request, ip) => {
      if (!admits(request.headers)) return false;
      try {
        return (await proveOnce(request, ip)).identity.can(verb, resource);
      } catch (error) {
        if (error instanceof PlugboardError) return false; // no proof, or one that is worth nothing
        throw error;
      }
    },
    requireAuth: (verb = "admin", resource = "api") =>
      authMiddleware({ admits, prove: proveOnce, verb, resource }),

    async authenticateConnection(token) {
      try {
        const { identity, permissions } = token === "" ? sign.anonymous() : await sign.byToken(token);
        return { success: true, userId: identity.user, permissions };
      } catch (error) {
        if (!(error instanceof PlugboardError)) throw error;
        return { success: false, error: error.message };
      }
    },

    addApiKey: (key, about) => keys.add(key, about, now()),
    apiKeys: () => keys.list(),
    async revokeApiKey(name) {
      const hash = keys.remove(name);
      if (hash === undefined) return false;
      await revoke(revocations.addKey(hash), ({ apiKey }) => apiKey === name);
      return true;
    },
    async revoke(revocation) {
      return await revoke(revocations.add(revocation, now()), sign.revoked);
    },
  };

  return {
    name: "auth",
    api,
    upgrade: door.upgrade,
    open: door.open,
    close: (conn) => sessions.end(conn),
    async start(given) {
      refuseToBeOpen(open && exposed, hostname);
      host = given;
      for (const kept of await keep?.load() ?? []) revocations.restore(kept);
      tokens?.start(given.clock, given.log);
      const failed = (error: unknown) => given.log.error("a protocol could not tell its client", { error });
      release = [
        given.clock.every(EXPIRY_SWEEP_MS, () => sessions.sweep(now(), failed)),
        given.clock.every(PRUNE_MS, () => {
          prune().catch((error) => given.log.error("revocations could not be forgotten", { error }));
        }),
      ];
      if (open) given.log.warn(OPEN);
      else given.log.info(signInBy(tokens !== undefined, keys.list().length > 0, options));
    },
    stop() {
      for (const end of release.splice(0)) end();
      tokens?.stop();
    },
  };
}

const OPEN = "nobody has to sign in: everybody on this machine may do everything " +
  "(JWT_SECRET, JWKS_URL or API_KEYS changes that)";

function signInBy(tokens: boolean, keys: boolean, { signIn, anonymous = false }: AuthOptions): string {
  const ways = [tokens && "tokens", keys && "API keys", signIn && "the app's own check"].filter(Boolean);
  if (ways.length === 0) return "nobody can sign in: everybody may do what somebody anonymous may";
  const others = anonymous ? "whoever has none is let in" : "whoever has none is refused";
  return `clients sign in by ${ways.join(" and ")}; ${others}`;
}

function refuseToBeOpen(refused: boolean, hostname: string): void {
  if (!refused) return;
  throw new PlugboardError(
    "no_sign_in",
    `Cannot start auth: the server listens on ${hostname}, beyond this machine, and nobody would have to sign in. ` +
      "Set JWT_SECRET, JWKS_URL or API_KEYS, or let everybody in by ALLOW_ANONYMOUS=1",
  );
}

function subscribeExtension(rule: AuthOptions["subscribeRule"]): Access["extension"] {
  if (rule === undefined) return { name: "auth" };
  return {
    name: "auth",
    async beforeSubscribe({ identity }, channel, { serverSide }) {
      if (serverSide || await rule(identity, channel) === true) return;
      throw new PlugboardError("permission_denied", "Permission denied");
    },
  };
}
