import type { Revocation, SignIn } from "./types.ts";

/** A revocation as it is stored. */
export type StoredRevocation = readonly [key: string, value: string];

interface Rule {
  /** Revokes tokens issued until then. Absent if the key identifies the token. */
  readonly before?: number;
  /** When the rule expires. */
  readonly until?: number;
}

/**
 * Credentials that are no longer valid although they look valid: by `jti:…`, `user:…`, `key:…` (the hash of an API key)
 * or `all`.
 */
export class Revocations {
  readonly #rules = new Map<string, Rule>();

  /** Adds a revocation; returns the entry to store. */
  add(revocation: Revocation, now: number): StoredRevocation {
    if ("jti" in revocation) return this.#set(`jti:${revocation.jti}`, untilOf(revocation));
    if ("user" in revocation) {
      const { user, issuedBefore = now } = revocation;
      return this.#set(`user:${user}`, { before: issuedBefore, ...untilOf(revocation) });
    }
    return this.#set("all", { before: revocation.issuedBefore });
  }

  /** Revokes an API key by its hash. */
  addKey(hash: string): StoredRevocation {
    return this.#set(`key:${hash}`, {});
  }

  /** Restores a stored entry, or adds one of another node. */
  restore([key, value]: StoredRevocation): void {
    this.#set(key, JSON.parse(value) as Rule);
  }

  /** Whether a token is revoked. A token without a time of issue counts as old. */
  covers({ id, issuedAt = 0 }: Pick<SignIn, "id" | "issuedAt">, user: string): boolean {
    if (this.#rules.size === 0) return false;
    if (id !== undefined && this.#rules.has(`jti:${id}`)) return true;
    const before = (key: string) => this.#rules.get(key)?.before ?? -Infinity;
    return issuedAt <= before("all") || issuedAt <= before(`user:${user}`);
  }

  /** Whether an API key is revoked. */
  coversKey(hash: string): boolean {
    return this.#rules.has(`key:${hash}`);
  }

  /** Removes expired rules; returns their keys. */
  prune(now: number): string[] {
    const due = [...this.#rules].filter(([, { until = Infinity }]) => until <= now).map(([key]) => key);
    for (const key of due) this.#rules.delete(key);
    return due;
  }

  /** Merges with an earlier rule. */
  #set(key: string, rule: Rule): StoredRevocation {
    const earlier = this.#rules.get(key);
    const merged = earlier === undefined ? rule : union(earlier, rule);
    this.#rules.set(key, merged);
    return [key, JSON.stringify(merged)];
  }
}

/** Returns the rule that revokes what either does. */
function union(a: Rule, b: Rule): Rule {
  const before = Math.max(a.before ?? -Infinity, b.before ?? -Infinity);
  const until = Math.max(a.until ?? Infinity, b.until ?? Infinity);
  return { ...(before !== -Infinity && { before }), ...(until !== Infinity && { until }) };
}

/**
 * Combines two revocations of the same tokens, as {@linkcode AuthOptions.keep} stores them.
 *
 * ```ts
 * import { mergeRevocations } from "@plugboard/server/auth";
 *
 * console.log(mergeRevocations('{"before":1}', '{"before":2}')); // {"before":2}
 * ```
 */
export function mergeRevocations(a: string, b: string): string {
  return JSON.stringify(union(JSON.parse(a) as Rule, JSON.parse(b) as Rule));
}

function untilOf({ until }: { readonly until?: number }): Rule {
  return until === undefined ? {} : { until };
}
