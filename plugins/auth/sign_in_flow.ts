import {
  attempt,
  chain,
  closeCodes,
  type Connection,
  type Endpoint,
  type MaybePromise,
  PlugboardError,
  refusalFor,
  type Upgrade,
} from "../../core/mod.ts";
import { BackendError } from "../shared/backend_error.ts";
import { isLocal } from "../shared/client_ip.ts";
import type { Verb } from "../shared/identity.ts";
import { type OriginCheck, originRefused } from "../shared/origins.ts";
import { findCredentials, markerAmong } from "./credentials.ts";
import type { Sessions } from "./sessions.ts";
import type { Signer } from "./signer.ts";
import type { AboutClient, Renewal, SignInBackend } from "./sign_in_backend.ts";
import type { Access, ConnectOptions, RequestHead, SignIn, SignInGuard } from "./types.ts";

/** What the flow works with. */
export interface SignInFlowParts {
  /** Whether the server has no sign-in. */
  readonly open: boolean;
  readonly sign: Signer;
  readonly sessions: Sessions;
  readonly limits: SignInGuard | undefined;
  readonly origins: OriginCheck;
  readonly backend: SignInBackend | undefined;
}

/**
 * The hooks of the flow, and its part of the API: signs in requests by their credentials, and connections by those of
 * their request or by a token in a later message.
 */
export type SignInFlow =
  & Pick<
    Access,
    | "connect"
    | "refresh"
    | "onRenewed"
    | "onSignedIn"
    | "identityOf"
    | "signsInByMessage"
    | "refusal"
    | "requestIdentity"
    | "authorize"
    | "authorizeBackend"
  >
  & {
    upgrade(upgrade: Upgrade): MaybePromise<Response | undefined>;
    open(conn: Connection, upgrade: Upgrade): void;
  };

/** The result of checking a request's credentials. */
type Outcome = SignIn | PlugboardError;

/** Makes the flow. */
export function signInFlow(parts: SignInFlowParts): SignInFlow {
  const { open, sign, sessions, limits, origins, backend } = parts;
  const signedIn = new Set<Parameters<Access["onSignedIn"]>[0]>();
  const renewed = new Set<Parameters<Access["onRenewed"]>[0]>();
  /** Endpoints whose clients send their token in a message. */
  const byMessage = new WeakSet<Endpoint>();
  const outcomes = new WeakMap<Upgrade, Outcome>();
  /** Connections that have not signed in yet. */
  const pending = new WeakMap<Connection, Upgrade>();
  /** A middleware and a handler may both ask about a request; its credentials are checked once. */
  const requests = new WeakMap<RequestHead, SignIn>();

  /** Signs in a request. No promise where nothing waits, as for most clients of a server without sign-in. */
  function signIn(request: RequestHead, ip: string, upgrade?: Upgrade): MaybePromise<SignIn> {
    const asked = upgrade !== undefined && backend?.always ? byBackend(upgrade) : undefined;
    return chain(asked, (known) => known ?? byCredentials(request, ip, upgrade));
  }

  function byCredentials(request: RequestHead, ip: string, upgrade?: Upgrade): MaybePromise<SignIn> {
    const { url, headers } = request;
    const credentials = findCredentials(url, headers, upgrade?.offered);
    const { token = credentials.apiKey } = credentials;
    // Otherwise any page could use up the failed sign-ins of its visitors' address, by images for example.
    if (token !== undefined && !origins.admitsCredentials(headers)) throw originRefused();
    return chain(
      sign.signIn({ ...credentials, url, headers, ip }),
      (proven) =>
        chain(
          proven ?? (upgrade !== undefined && !backend?.always ? byBackend(upgrade) : undefined),
          (known) => {
            const refusal = upgrade === undefined ? "Authentication required" : undefined;
            return known ?? sign.anonymous(undefined, !open || isLocal({ headers, ip }), refusal);
          },
        ),
    );
  }

  async function requestSignIn(request: RequestHead, ip = "unknown"): Promise<SignIn> {
    const known = requests.get(request) ?? await signIn(request, ip);
    requests.set(request, known);
    return known;
  }

  /** Asks the backend about a client, once it is known what the client tells about itself. */
  function byBackend(upgrade: Upgrade, about?: AboutClient): MaybePromise<SignIn | undefined> {
    if (about === undefined && byMessage.has(upgrade.endpoint)) return undefined;
    const { connectionId: client, headers, ip } = upgrade;
    return sign.byBackend({ client, headers, ip, about: about ?? {} });
  }

  /** Asks the backend about a client that signs in by a message and has no credentials. */
  function byMessageAndBackend(
    conn: Connection,
    { token, about = {} }: ConnectOptions,
  ): MaybePromise<SignIn | undefined> {
    const upgrade = pending.get(conn);
    if (backend?.connect === undefined || upgrade === undefined) return undefined;
    const outcome = outcomes.get(upgrade);
    const without = outcome instanceof PlugboardError
      ? outcome.code === "unauthorized"
      : outcome?.identity.anonymous === true;
    if (!backend.always && (token || !without)) return undefined;
    return attempt(() => byBackend(upgrade, about), (error) => {
      if (error instanceof BackendError && error.disconnect) conn.close(error.disconnect);
      throw error;
    });
  }

  /** Signs in the sender of a request, unless it has no credentials. */
  async function senderOf(request: RequestHead, ip: string): Promise<SignIn | undefined> {
    if (!origins.admits(request.headers)) throw originRefused();
    return await requestSignIn(request, ip).catch((error) => {
      if (error instanceof PlugboardError && error.code === "unauthorized") return undefined;
      throw error;
    });
  }

  /** Checks a token from a message. The app's own check also gets the rest of the request. */
  async function byToken(conn: Connection, token: string): Promise<SignIn> {
    const { url = "", headers = new Headers() } = pending.get(conn) ?? {};
    return await sign.signIn({ token, url, headers, ip: conn.ip }) ?? byRequest(conn);
  }

  /** Checks an API key in the headers that a client sends by a message, since a browser cannot send them. */
  function byKey(conn: Connection, { about }: ConnectOptions): MaybePromise<SignIn | undefined> {
    if (about?.headers === undefined) return undefined;
    const apiKey = Object.entries(about.headers).find(([name]) => name.toLowerCase() === "x-api-key")?.[1];
    if (typeof apiKey !== "string" || apiKey === "") return undefined;
    const { url = "", headers = new Headers() } = pending.get(conn) ?? {};
    return sign.signIn({ apiKey, url, headers, ip: conn.ip });
  }

  /** Signs in a client that sends its credentials by a message, or has sent them with its request. */
  function byOptions(conn: Connection, options: ConnectOptions): MaybePromise<SignIn> {
    const { token, user } = options;
    if (token) return byToken(conn, token);
    return chain(byKey(conn, options), (known) => known ?? byRequest(conn, user));
  }

  /** Returns the sign-in by the credentials of the request. */
  function byRequest(conn: Connection, user?: string): SignIn {
    const upgrade = pending.get(conn);
    const outcome = sessions.get(conn) ?? (upgrade && outcomes.get(upgrade));
    if (outcome instanceof PlugboardError) throw outcome;
    // Anonymous clients may give a name, where names need no proof.
    if (outcome === undefined || outcome.identity.anonymous || open) return sign.anonymous(user);
    return outcome;
  }

  function begin(conn: Connection, signIn: SignIn, options?: ConnectOptions): void {
    sign.recheck(signIn);
    if (!conn.open) return;
    if (sessions.get(conn) === undefined) limits?.signedIn(conn, signIn.identity.user);
    sessions.begin(conn, signIn, options);
    pending.delete(conn);
    for (const listener of signedIn) listener(conn, signIn);
    backend?.connected(conn, signIn, options?.about ?? {}, (renewal) => renew(conn, renewal));
  }

  function renew(conn: Connection, { info, ...renewal }: Renewal): void {
    const signIn = sessions.get(conn);
    if (signIn === undefined) return;
    const identity = info === undefined
      ? signIn.identity
      : { ...signIn.identity, info: JSON.stringify(info) };
    sessions.renew(conn, { ...signIn, ...renewal, identity });
    if (identity.info === signIn.identity.info) return;
    for (const listener of renewed) listener(conn, identity);
  }

  return {
    upgrade(upgrade) {
      if (!origins.admits(upgrade.headers)) return refusalFor(originRefused());
      upgrade.protocol ??= markerAmong(upgrade.offered);
      const keep = (outcome: Outcome) => void outcomes.set(upgrade, outcome);
      return attempt<Response | undefined>(
        () => chain<SignIn, undefined>(signIn(upgrade, upgrade.ip, upgrade), keep),
        (error) => {
          const known = error instanceof PlugboardError && error.code !== "origin_not_allowed";
          return known && byMessage.has(upgrade.endpoint) ? keep(error) : refusalFor(error);
        },
      );
    },

    open(conn, upgrade) {
      if (byMessage.has(upgrade.endpoint)) {
        pending.set(conn, upgrade);
        return;
      }
      try {
        begin(conn, outcomes.get(upgrade) as SignIn);
      } catch (error) {
        const limited = error instanceof PlugboardError && error.code === "connection_limit";
        conn.close(limited ? closeCodes.connectionLimit : closeCodes.invalidToken);
      }
    },

    connect(conn, options = {}) {
      const asked = byMessageAndBackend(conn, options);
      return chain(chain(asked, (known) => known ?? byOptions(conn, options)), (signIn) => {
        begin(conn, signIn, options);
        return signIn;
      });
    },

    async refresh(conn, token) {
      const signIn = await byToken(conn, token);
      if (signIn.identity.user !== sessions.get(conn)?.identity.user) {
        const cause = new Error("the token is for another user");
        throw new PlugboardError("invalid_token", "Invalid token", { cause });
      }
      sign.recheck(signIn);
      sessions.renew(conn, signIn);
      return signIn;
    },

    identityOf(who) {
      const outcome = "offered" in who ? outcomes.get(who) : sessions.get(who);
      return outcome instanceof PlugboardError ? undefined : outcome?.identity;
    },

    onSignedIn(listener) {
      signedIn.add(listener);
      return () => signedIn.delete(listener);
    },

    onRenewed(listener) {
      renewed.add(listener);
      return () => renewed.delete(listener);
    },

    signsInByMessage: (endpoint) => void byMessage.add(endpoint),

    refusal(upgrade, verb, resource) {
      try {
        const outcome = outcomes.get(upgrade);
        if (outcome instanceof PlugboardError) throw outcome;
        checkPermission(outcome, verb, resource);
      } catch (error) {
        return refusalFor(error);
      }
    },

    requestIdentity: async (request, ip) => (await requestSignIn(request, ip)).identity,

    async authorize(request, ip, verb, resource) {
      checkPermission(await senderOf(request, ip), verb, resource);
    },

    async authorizeBackend(request, ip) {
      const signIn = await senderOf(request, ip);
      // What users may do as clients, such as publishing within the rules of a namespace, they may not do as a backend.
      if (signIn?.apiKey === undefined) checkPermission(signIn, "admin", "api");
      return signIn!.identity;
    },
  };
}

/** Throws unless the permission is there; asks anonymous clients to sign in. */
function checkPermission(signIn: SignIn | undefined, verb: Verb, resource: string): void {
  if (signIn?.identity.can(verb, resource)) return;
  throw signIn === undefined || signIn.identity.anonymous
    ? new PlugboardError("unauthorized", "Authentication required")
    : new PlugboardError("permission_denied", "Permission denied");
}
