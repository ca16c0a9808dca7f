import type { Verb } from "../../../../plugins/auth.ts";
import { SECRET, token } from "../kit.ts";

/** How a server lets clients in: everybody may do everything, anonymous clients are accepted, or all must sign in. */
export type Mode = "open" | "anonymous" | "closed";

/** All modes. */
export const MODES: readonly Mode[] = ["open", "anonymous", "closed"];

/** The keys that servers know, as in `API_KEYS`. */
export const API_KEYS = `backend:${"b".repeat(20)}:read:*+write:*,ops:${"o".repeat(20)}:admin`;

/** What a caller presents. */
export interface Credentials {
  readonly token?: string;
  readonly apiKey?: string;
}

/** Somebody who calls an operation. */
export interface Caller {
  readonly name: string;
  /** Whether its credentials are valid, invalid, or missing. */
  readonly signIn: "valid" | "invalid" | "none";
  /** The user that its credentials prove. */
  readonly user: string;
  readonly can: (verb: Verb, resource: string) => boolean;
  /** Whether it has an API key. */
  readonly isBackend?: boolean;
  credentials(): Promise<Credentials>;
}

const nothing = () => false;
const reads = (verb: Verb, resource: string) => verb === "read" && !resource.startsWith("$");
const readsAndWrites = (verb: Verb, resource: string) =>
  (verb === "read" || verb === "write") && !resource.startsWith("$");

function withToken(
  name: string,
  permissions: string[],
  can: Caller["can"],
  user = "alice",
): Caller {
  return {
    name,
    signIn: "valid",
    user,
    can,
    credentials: async () => ({ token: await token({ sub: user, permissions }) }),
  };
}

function refused(name: string, credentials: () => Promise<Credentials>): Caller {
  return { name, signIn: "invalid", user: "", can: nothing, credentials };
}

function withKey(name: string, letter: string, can: Caller["can"]): Caller {
  const credentials = () => Promise.resolve({ apiKey: letter.repeat(20) });
  return { name, signIn: "valid", user: "", can, credentials, isBackend: true };
}

/** Everybody who calls. */
export const CALLERS: readonly Caller[] = [
  {
    name: "nobody",
    signIn: "none",
    user: "",
    can: reads,
    credentials: () => Promise.resolve({}),
  },
  withToken("a user without permissions", [], nothing),
  withToken("a reader", ["read:*"], reads),
  withToken("a reader and writer", ["read:*", "write:*"], readsAndWrites),
  withToken("a user who may do all but operate", ["*"], readsAndWrites),
  withToken("an admin", ["admin"], () => true),
  refused(
    "an expired user",
    async () => ({ token: await token({ sub: "alice", exp: 1, permissions: ["admin"] }) }),
  ),
  refused("a forger", async () => {
    return { token: await token({ sub: "alice", permissions: ["admin"] }, { secret: `not ${SECRET}` }) };
  }),
  refused("a guesser of keys", () => Promise.resolve({ apiKey: "x".repeat(20) })),
  withKey("a key of a backend", "b", readsAndWrites),
  withKey("a key of an operator", "o", () => true),
];

/** What an operation needs: nothing, any sign-in, a permission, or a rule of its own. */
export type Needs =
  | "nothing"
  | "sign_in"
  | readonly [verb: Verb, resource: string]
  | ((caller: Caller, mode: Mode) => boolean);

/** Whether an operation is allowed. */
export function isAllowed(needs: Needs, caller: Caller, mode: Mode): boolean {
  if (needs === "nothing") return true;
  if (mode === "open") return typeof needs === "function" ? needs(caller, mode) : true;
  if (caller.signIn === "invalid" || caller.signIn === "none" && mode === "closed") return false;
  if (typeof needs === "function") return needs(caller, mode);
  return needs === "sign_in" || caller.can(...needs);
}
