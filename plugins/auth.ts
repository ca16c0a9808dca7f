/**
 * Sign-in: who a client is and what it may do, by tokens, API keys or the app's own check.
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
 * Without a secret, keys or a check of the app's own, every client on this machine has all permissions; such a server
 * does not start on another address. A token or a key is valid for every protocol. Protocols whose clients sign in by
 * a message accept the connection first; all others need credentials in the request.
 *
 * @module
 */

import {
  built,
  checkOptions,
  closeCode,
  type Host,
  type MaybePromise,
  PlugboardError,
  type Plugin,
  refusalFor,
  systemClock,
} from "../core/mod.ts";
import type { ApiKey } from "./auth/api_keys.ts";
import { KeyRing } from "./auth/key_ring.ts";
import { Revocations, type StoredRevocation } from "./auth/revocations.ts";
import { Sessions } from "./auth/sessions.ts";
import { needsSignIn, OPEN, signInBy } from "./auth/reports.ts";
import type { SignInBackend } from "./auth/sign_in_backend.ts";
import { signInFlow } from "./auth/sign_in_flow.ts";
import { type AnonymousOptions, signer } from "./auth/signer.ts";
import { subscribeExtension } from "./auth/subscribe_rule.ts";
import { type JwtOptions, tokenVerifier } from "./auth/tokens.ts";
import type { Access, AppUser, Credentials, Question, SignIn, SignInGuard } from "./auth/types.ts";
import { isLoopback } from "./shared/client_ip.ts";
import type { Identity } from "./shared/identity.ts";
import type { KeyValueStore } from "./shared/key_value_store.ts";
import type { Metrics } from "./shared/metrics.ts";
import { originCheck } from "./shared/origins.ts";

export { type ApiKey, parseApiKeys } from "./auth/api_keys.ts";
export { mergeRevocations } from "./auth/revocations.ts";
export type { JwksOptions } from "./auth/jwks.ts";
export type { AnonymousOptions } from "./auth/signer.ts";
export type { Algorithm, JwtOptions } from "./auth/tokens.ts";
export type * from "./auth/sign_in_backend.ts";
export type * from "./auth/types.ts";
export type { Identity, Verb } from "./shared/identity.ts";
export type { KeyValueStore } from "./shared/key_value_store.ts";
export type { Counter, Metrics } from "./shared/metrics.ts";

/** Options of {@linkcode auth}. */
export interface AuthOptions {
  /** How tokens are verified. */
  jwt?: JwtOptions | undefined;
  /** API keys of backends. */
  apiKeys?: readonly ApiKey[];
  /**
   * The app's own check, called first with the headers of the client's request: by a session cookie, for example. `undefined`
   * tries the other ways. A user without `permissions` gets those of the option, which allow to read and write everything.
   */
  signIn?: (credentials: Credentials) => MaybePromise<AppUser | undefined>;
  /** Another service that decides who clients without credentials are: {@linkcode proxies}. */
  backend?: SignInBackend | undefined;
  /** Whether clients without credentials are accepted, and their permissions. @default {false} */
  anonymous?: boolean | AnonymousOptions;
  /**
   * Permissions of users whose token, or `signIn`, lists none; by default to read and write everything.
   * @default {["read:*", "write:*"]}
   */
  permissions?: readonly string[];
  /**
   * The app's own rule: `true` allows, `false` denies, `undefined` leaves it to the permissions. Not `async`: every publish calls it. It
   * is not asked for each message that a subscriber receives: {@linkcode ChannelControl.refresh} asks again.
   */
  rule?: (question: Question) => boolean | undefined;
  /**
   * Called before each subscribe, and again for each subscription when the client's sign-in or {@linkcode Channels.refresh}
   * changes its identity; may be async. It can only deny.
   */
  subscribeRule?: (identity: Identity, channel: string) => MaybePromise<boolean>;
  /** Web pages that may connect besides the server's own: `https://example.com`, `https://*.example.com`, `*`. */
  origins?: readonly string[];
  /** The address under which clients reach the server. @default {the addresses that the server listens on} */
  hostname?: string;
  /** Slows down and refuses clients that guess credentials. */
  limits?: SignInGuard;
  /** Stores revocations across restarts. */
  keep?: KeyValueStore;
  /** Stores the hashes of API keys that {@linkcode Access.createApiKey} makes, across restarts. */
  keyStore?: KeyValueStore;
  /** Counts sign-ins. */
  metrics?: Pick<Metrics, "counter">;
  /** How long before its sign-in expires a client is warned, if its protocol can. @default {30000} @minimum 0 */
  warnMs?: number;
  /**
   * How long after the expiry a client may still refresh, if its protocol can; it can do nothing else.
   * @default {25000} @minimum 0
   */
  graceMs?: number;
}

const SWEEP_MS = 1_000;
const PRUNE_MS = 3_600_000;

const revoked = closeCode(3500, "token revoked");

/** Signs clients in. */
export function auth(options: AuthOptions = {}): Plugin<Access> {
  const { jwt, apiKeys = [], anonymous = false, permissions = ["read:*", "write:*"] } = options;
  const { hostname, limits, keep, backend, warnMs = 30_000, graceMs = 25_000 } = options;
  const check = checkOptions("auth");
  if (hostname !== undefined) check.filled("hostname", hostname);
  check.wholeNumber("warnMs", warnMs);
  check.wholeNumber("graceMs", graceMs);

  const open = jwt === undefined && apiKeys.length === 0 && options.signIn === undefined &&
    backend?.connect === undefined && anonymous === false;
  let host: Host | undefined;
  /** An address beyond this machine, if there is one. */
  let exposedOn: string | undefined;
  const exposed = () => exposedOn !== undefined;
  const origins = originCheck("auth", { allowed: options.origins ?? [], exposed, open });

  let release: (() => void)[] = [];
  const now = () => (host?.clock ?? systemClock).wallTime();

  const ring = new KeyRing(options.keyStore);
  const { keys } = ring;
  for (const key of apiKeys) ring.add(key, now());
  const tokens = jwt && tokenVerifier(jwt);
  const signIns = options.metrics?.counter("plugboard_sign_ins_total", "Checked credentials, by result", [
    "result",
  ]);
  const revocations = new Revocations();
  const sessions = new Sessions(warnMs, graceMs);
  const sign = signer({
    open,
    tokens,
    keys,
    revocations,
    limits,
    permissions,
    anonymous: anonymous === true ? {} : anonymous || undefined,
    appSignIn: options.signIn,
    backend,
    rule: options.rule,
    ruleFailed: (error) => host?.log.error("the app's rule failed and denies", { error }),
    now,
    checked: (result, ip, reason) => {
      signIns?.add(1, result);
      if (result !== "ok") host?.log.debug("sign-in refused", { result, ip, reason });
    },
  });
  const { upgrade, open: opened, ...flow } = signInFlow({
    open,
    sign,
    sessions,
    limits,
    origins,
    backend,
  });
  const { refusal, authorize } = flow;

  const waysToSignIn = (): string[] =>
    Object.entries({
      tokens,
      "API keys": keys.list()[0],
      "the app's own check": options.signIn,
      "a backend": backend?.connect,
    }).flatMap(([way, given]) => given === undefined ? [] : [way]);

  async function revoke(stored: StoredRevocation, matches: (signIn: SignIn) => boolean): Promise<number> {
    const closed = sessions.closeWhere(matches, revoked);
    await keep?.set(...stored);
    return closed;
  }

  /** Takes a revocation of another node. */
  function revokedElsewhere(key: string, value: string | undefined): void {
    if (value === undefined) return;
    revocations.restore([key, value]);
    const name = key.startsWith("key:") ? keys.nameOf(key.slice(4)) : undefined;
    if (name !== undefined) keys.remove(name);
    sessions.closeWhere(
      (signIn) => name === undefined ? sign.revoked(signIn) : signIn.apiKey === name,
      revoked,
    );
  }

  async function prune(): Promise<void> {
    for (const key of revocations.prune(now())) await keep?.delete(key);
  }

  const api: Access = {
    ...flow,
    open,
    get signsIn() {
      return waysToSignIn().length > 0;
    },
    extension: subscribeExtension(options.subscribeRule),
    allowsOrigin: origins.allowsOrigin,
    signInOf: (conn) => sessions.get(conn),
    prolong: (conn, expiresAt) => sessions.prolong(conn, expiresAt),
    verify: (token) => sign.byToken(token),
    verifySubscription: (token, subscription) => sign.subscription(token, subscription),
    anonymous: (user) => sign.anonymous(user),
    allowPath(upgrade, path) {
      const resource = `path:${path}`;
      const refused = refusal(upgrade, "read", resource);
      if (refused !== undefined) return refused;
      return refusal(upgrade, "write", resource) === undefined ? "write" : "read";
    },
    allowRequest: (verb, resource) => async (request, ip) => {
      try {
        await authorize(request, ip, verb, resource);
        return true;
      } catch (error) {
        if (error instanceof PlugboardError) return false;
        throw error;
      }
    },
    requireAuth: (verb = "admin", resource = "api") => async (c, next) => {
      try {
        await authorize(c.req.raw, c.env.ip, verb, resource);
      } catch (error) {
        return refusalFor(error);
      }
      await next();
    },

    async authenticateConnection(token) {
      try {
        const { identity, permissions } = token === "" ? sign.anonymous() : await sign.byToken(token);
        return { success: true, userId: identity.user, permissions };
      } catch (error) {
        if (!(error instanceof PlugboardError)) throw error;
        return { success: false, error: error.message };
      }
    },

    addApiKey: (key, about) => ring.add({ key, ...about }, now()),
    createApiKey: (about) => ring.create(about, now()),
    prepareApiKeys(given) {
      check.that(!open || given.length === 0, "apiKeys", "none, until a restart", `${given.length} keys`);
      return ring.prepare(given, now(), (ended) => {
        sessions.closeWhere(({ apiKey = "" }) => ended.has(apiKey), revoked);
      });
    },
    apiKeys: () => keys.list(),
    async revokeApiKey(name) {
      const hash = keys.remove(name);
      if (hash === undefined) return false;
      await revoke(revocations.addKey(hash), ({ apiKey }) => apiKey === name);
      await ring.forget(name);
      return true;
    },
    revoke: (revocation) => revoke(revocations.add(revocation, now()), sign.revoked),
  };

  return built({
    name: "auth",
    api,
    upgrade,
    open: opened,
    close: (conn) => sessions.end(conn),
    async start(given) {
      host = given;
      exposedOn = [hostname ?? given.hostnames].flat().find((each) => !isLoopback(each));
      if (open && exposedOn !== undefined) throw needsSignIn(exposedOn);
      release = [ring.watch(), ...(keep?.watch ? [keep.watch(revokedElsewhere)] : [])];
      for (const stored of await keep?.load() ?? []) revocations.restore(stored);
      tokens?.start(given.clock, given.log);
      await ring.start(given.log);
      const failed = (error: unknown) => given.log.error("a protocol failed to warn its client", { error });
      release.push(
        given.clock.every(SWEEP_MS, () => sessions.sweep(now(), failed)),
        given.clock.every(PRUNE_MS, () => {
          prune().catch((error) => given.log.error("cannot delete expired revocations", { error }));
        }),
      );
      if (open) given.log.warn(OPEN);
      else given.log.info(signInBy(waysToSignIn(), anonymous !== false));
    },
    stop() {
      for (const end of release.splice(0)) end();
      tokens?.stop();
    },
  }, options);
}
