import { exceedsBytes } from "../../../core/mod.ts";
import type { NamespaceOptions } from "../../channels.ts";

/** The namespace of the hub's channels. Apps are unlikely to use it. */
export const NAMESPACE = "@hub";

/** Clients have no permissions in the namespace: the server subscribes them. Kept messages are its history. */
export function namespaceOptions(keep: { messages: number; ms: number } | undefined): NamespaceOptions {
  return {
    historySize: keep?.messages ?? 0,
    historyMs: keep?.ms ?? 0,
    recovery: keep === undefined ? "off" : "request",
    ...(keep && { recoveryLimit: keep.messages }),
    maxNameBytes: MAX_NAME_BYTES,
    presence: false,
    joinLeave: "off",
    subscribe: "nobody",
    publish: "nobody",
    presenceAccess: "nobody",
    historyAccess: "nobody",
  };
}

/** The channel of all clients. */
export const BROADCASTS = `${NAMESPACE}:all`;

/** Maximum bytes of an id within a channel's name, which may have two. */
const MAX_ID_BYTES = 200;
const MAX_NAME_BYTES = 2 * MAX_ID_BYTES + 55;

/** Returns what is wrong with an id, if anything. `name` is the parameter's name. */
export function idProblem(name: string, id: string): string | undefined {
  if (id === "") return `${name} is required`;
  if (!id.isWellFormed() || CONTROL.test(id)) return `${name} contains characters that are not text`;
  if (exceedsBytes(escaped(id), MAX_ID_BYTES)) return `${name} is too long`;
}

/** Returns a user's channel. */
export function userChannel(user: string): string {
  return `${NAMESPACE}:user:${escaped(user)}`;
}

/**
 * A session's key. Where users prove who they are, it contains the user, so that sessions of two users with the same id
 * are different sessions.
 */
export type SessionKey = string & { readonly sessionKey: true };

/** Returns a session's key. */
export function sessionKey(session: string, user?: string): SessionKey {
  return (user === undefined ? escaped(session) : `${escaped(session)}?${escaped(user)}`) as SessionKey;
}

/** Returns the key without the user: it is the same for all sessions with the same id. */
export function withoutUser(key: SessionKey): string {
  return key.split("?", 1)[0]!;
}

/** Returns a session's channel. */
export function sessionChannel(key: SessionKey): string {
  return `${NAMESPACE}:session:${key}`;
}

// deno-lint-ignore no-control-regex -- it matches control characters
const CONTROL = /[\u0000-\u001f\u007f\u2028\u2029]/;

/** Characters with a meaning in a channel's name, and the escape character, so that no two ids share a channel. */
const SPECIAL = /[%#?/\\]|\.(?=\.)/g;

function escaped(id: string): string {
  return id.replace(SPECIAL, (char) => char === "." ? "%2E" : encodeURIComponent(char));
}
