/**
 * Permissions: short texts that say what somebody may do, such as `read:chat` or `write:orders:*`.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Verb } from "../shared/identity.ts";

/** What a list of permissions allows. */
export interface Permissions {
  readonly list: readonly string[];
  /** Whether one of them allows it. */
  can(verb: Verb, resource: string): boolean;
}

/** A list longer than this is a mistake, or an attempt to make every check slow. */
const MAX_PERMISSIONS = 1_000;

const MAX_REMEMBERED = 1_000;

/** Prepares lists, and remembers them: most users share a few, so that it saves memory and work at sign-in. */
export function rememberPermissions(): (list: readonly string[]) => Permissions {
  const remembered = new Map<string, Permissions>();
  return (list) => {
    const key = JSON.stringify(list);
    let permissions = remembered.get(key);
    if (permissions === undefined) {
      permissions = permissionsOf(list);
      if (remembered.size >= MAX_REMEMBERED) remembered.clear();
      remembered.set(key, permissions);
    }
    return permissions;
  };
}

/**
 * Prepares a list for asking.
 *
 * `read:`, `write:`, `query:` and `admin:` are followed by a resource; its parts stand between colons. A `*` in the place of
 * a part stands for any one part, at the end for any number of them, but at least one: `read:chat:*` allows
 * `chat:a` and `chat:a:b`, not `chat`. Anywhere else a `*` is just a character. `*` alone allows to read and write
 * everything, `admin` allows everything; `query:*` allows to read by SQL of one's own, which no other permission but
 * `admin` includes. Texts are compared as they are, without case folding or normalisation, and what is not understood
 * allows nothing.
 */
export function permissionsOf(list: readonly string[]): Permissions {
  if (list.length > MAX_PERMISSIONS) {
    throw new PlugboardError("bad_permissions", `More than ${MAX_PERMISSIONS} permissions`);
  }
  const patterns: Record<Verb, Patterns> = {
    read: new Patterns(),
    write: new Patterns(),
    query: new Patterns(),
    admin: new Patterns(),
  };
  for (const permission of list) grant(patterns, permission);
  return {
    list: Object.freeze([...list]),
    can: (verb, resource) => patterns[verb].match(resource),
  };
}

function grant(patterns: Record<Verb, Patterns>, permission: string): void {
  if (permission === "*" || permission === "admin") {
    patterns.read.add("*");
    patterns.write.add("*");
    if (permission === "admin") {
      patterns.query.add("*");
      patterns.admin.add("*");
    }
    return;
  }
  const colon = permission.indexOf(":");
  const verb = permission.slice(0, colon);
  if (verb === "read" || verb === "write" || verb === "query" || verb === "admin") {
    patterns[verb].add(permission.slice(colon + 1));
  }
}

/** Resource patterns of one verb, sorted by how they are looked up. */
class Patterns {
  #all = false;
  readonly #exact = new Set<string>();
  /** Those that end in `*`, without it. */
  readonly #prefixes = new Set<string>();
  /** Those with a `*` in the middle. */
  readonly #others: string[][] = [];

  add(pattern: string): void {
    const parts = pattern.split(":");
    if (pattern === "*") this.#all = true;
    else if (parts.slice(0, -1).includes("*")) this.#others.push(parts);
    else if (parts.at(-1) === "*") this.#prefixes.add(pattern.slice(0, -1));
    else this.#exact.add(pattern);
  }

  match(resource: string): boolean {
    if (this.#all || this.#exact.has(resource)) return true;
    if (this.#prefixes.size > 0) {
      for (let colon = resource.indexOf(":"); colon !== -1; colon = resource.indexOf(":", colon + 1)) {
        if (this.#prefixes.has(resource.slice(0, colon + 1))) return true;
      }
    }
    if (this.#others.length === 0) return false;
    const parts = resource.split(":");
    return this.#others.some((pattern) => matches(pattern, parts));
  }
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  const open = pattern.at(-1) === "*";
  if (open ? parts.length < pattern.length : parts.length !== pattern.length) return false;
  return pattern.every((part, i) => part === "*" || part === parts[i]);
}
