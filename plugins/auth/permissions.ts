import { PlugboardError } from "../../core/mod.ts";
import type { Verb } from "../shared/identity.ts";

/** A parsed list of permissions. */
export interface Permissions {
  readonly list: readonly string[];
  /** Whether one of them allows it. */
  can(verb: Verb, resource: string): boolean;
}

/** A longer list is a mistake, or an attempt to make every check slow. */
const MAX_PERMISSIONS = 1_000;

const MAX_CACHED = 1_000;

/** Returns a parser with a cache: most users share a few lists. */
export function cachedPermissions(): (list: readonly string[]) => Permissions {
  const cache = new Map<string, Permissions>();
  return (list) => {
    const key = JSON.stringify(list);
    if (cache.size >= MAX_CACHED) cache.clear();
    return cache.getOrInsertComputed(key, () => permissionsOf(list));
  };
}

/**
 * Parses a list of permissions: short texts such as `read:chat` or `write:orders:*`.
 *
 * `read:`, `write:`, `query:` and `admin:` precede a resource, whose parts are separated by colons. A `*` matches
 * any one part; at the end it matches one or more parts: `read:chat:*` allows `chat:a` and `chat:a:b`, not `chat`.
 * Within a part a `*` is an ordinary character. `*` alone allows to read and write everything, `admin` allows
 * everything. `query:*` allows to read with SQL of one's own; only `admin` includes it. Resources that begin with `$`
 * are private: only `admin` and patterns that begin with `$` match them, `read:$team:*` but not `read:*`. Texts are
 * compared without case folding or normalization. A permission of another form allows nothing.
 */
export function permissionsOf(list: readonly string[]): Permissions {
  if (list.length > MAX_PERMISSIONS) {
    const cause = new Error(`more than ${MAX_PERMISSIONS} permissions`);
    throw new PlugboardError("invalid_token", "Invalid token", { cause });
  }
  const patterns: Record<Verb, Patterns> = {
    read: new Patterns(),
    write: new Patterns(),
    query: new Patterns(),
    admin: new Patterns(),
  };
  for (const permission of list) {
    for (const [verb, pattern] of grantsOf(permission)) patterns[verb].add(pattern);
  }
  const admin = list.includes("admin");
  return { list: Object.freeze([...list]), can: (verb, resource) => admin || patterns[verb].match(resource) };
}

const VERBS: readonly Verb[] = ["read", "write", "query", "admin"];

function grantsOf(permission: string): [Verb, pattern: string][] {
  if (permission === "*") return [["read", "*"], ["write", "*"]];
  const verb = VERBS.find((verb) => permission.startsWith(`${verb}:`));
  return verb === undefined ? [] : [[verb, permission.slice(verb.length + 1)]];
}

/** The resource patterns of one verb, by the kind of look-up. */
class Patterns {
  #all = false;
  readonly #exact = new Set<string>();
  /** Patterns that end in `*`, without it. */
  readonly #prefixes = new Set<string>();
  /** Patterns with a `*` in the middle. */
  readonly #others: string[][] = [];

  add(pattern: string): void {
    const parts = pattern.split(":");
    if (pattern === "*") this.#all = true;
    else if (parts.slice(0, -1).includes("*")) this.#others.push(parts);
    else if (parts.at(-1) === "*") this.#prefixes.add(pattern.slice(0, -1));
    else this.#exact.add(pattern);
  }

  match(resource: string): boolean {
    const isPrivate = resource.startsWith("$");
    if (this.#all && !isPrivate || this.#exact.has(resource)) return true;
    if (this.#prefixes.size > 0) {
      for (let colon = resource.indexOf(":"); colon !== -1; colon = resource.indexOf(":", colon + 1)) {
        if (this.#prefixes.has(resource.slice(0, colon + 1))) return true;
      }
    }
    if (this.#others.length === 0) return false;
    const parts = resource.split(":");
    return this.#others.some((pattern) => (!isPrivate || pattern[0] !== "*") && matches(pattern, parts));
  }
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  const open = pattern.at(-1) === "*";
  if (open ? parts.length < pattern.length : parts.length !== pattern.length) return false;
  return pattern.every((part, i) => part === "*" || part === parts[i]);
}
