/**
 * The ids of users and sessions, and the channels they stand for.
 *
 * @module
 */

import type { NamespaceOptions } from "../../channels.ts";

/** The namespace of the hub's channels: one that no app would choose for its own. */
export const NAMESPACE = "@hub";

/** What its channels offer: to clients nothing, the server puts them in; a log where messages are kept. */
export function namespaceOptions(keep: { messages: number; ms: number } | undefined): NamespaceOptions {
  return {
    historySize: keep?.messages ?? 0,
    historyMs: keep?.ms ?? 0,
    recovery: keep === undefined ? "off" : "request",
    ...(keep && { recoveryLimit: keep.messages }),
    presence: false,
    joinLeave: "off",
    subscribe: "nobody",
    publish: "nobody",
    presenceAccess: "nobody",
    historyAccess: "nobody",
  };
}

/** The channel of everybody. */
export const EVERYBODY = `${NAMESPACE}:all`;

/** Bytes of an id once it is part of a channel's name, which has 255 in all. */
const MAX_ID_BYTES = 200;

const encoder = new TextEncoder();

/** What is wrong with an id, if anything. `name` is what its sender calls it. */
export function unfitId(name: string, id: string): string | undefined {
  if (id === "") return `${name} is required`;
  if (!id.isWellFormed() || CONTROL.test(id)) return `${name} contains characters that are not text`;
  if (encoder.encode(escaped(id)).length > MAX_ID_BYTES) return `${name} is too long`;
}

/** A user's channel. */
export function userChannel(user: string): string {
  return `${NAMESPACE}:user:${escaped(user)}`;
}

/** A session's channel. */
export function sessionChannel(session: string): string {
  return `${NAMESPACE}:session:${escaped(session)}`;
}

// deno-lint-ignore no-control-regex -- they are what it looks for
const CONTROL = /[\u0000-\u001f\u007f\u2028\u2029]/;

/** What means something in a channel's name, and the escape itself, so that no two ids share a channel. */
const SPECIAL = /[%#?/\\]|\.(?=\.)/g;

function escaped(id: string): string {
  return id.replace(SPECIAL, (char) => char === "." ? "%2E" : encodeURIComponent(char));
}
