/**
 * Revocations: proofs that are worth nothing any more although they look good.
 *
 * @module
 */

import type { Revocation } from "./types.ts";

/** A revocation as it is kept: a key and what is said of it. */
export type Kept = readonly [key: string, value: string];

/** The parts of a proof that revocations go by. */
export interface Revocable {
  readonly user: string;
  /** The token's `jti`. */
  readonly id?: string;
  readonly issuedAt?: number;
}

interface Rule {
  /** Tokens issued until then; absent where the key says it all. */
  readonly before?: number;
  /** When it may be forgotten. */
  readonly until?: number;
}

/** What was revoked, by `jti:…`, `user:…`, `key:…` (an API key's hash) or `all`. */
export class Revocations {
  readonly #rules = new Map<string, Rule>();

  /** Adds one; gives what is to be kept. */
  add(revocation: Revocation, now: number): Kept {
    if ("jti" in revocation) return this.#set(`jti:${revocation.jti}`, forgottenAt(revocation));
    if ("user" in revocation) {
      const { user, issuedBefore = now } = revocation;
      return this.#set(`user:${user}`, { before: issuedBefore, ...forgottenAt(revocation) });
    }
    return this.#set("all", { before: revocation.issuedBefore });
  }

  /** Revokes an API key by its hash. */
  addKey(hash: string): Kept {
    return this.#set(`key:${hash}`, {});
  }

  /** Takes back what was kept. */
  restore([key, value]: Kept): void {
    this.#rules.set(key, JSON.parse(value) as Rule);
  }

  /** Whether a token is revoked. One that does not say when it was issued counts as old. */
  covers({ user, id, issuedAt = 0 }: Revocable): boolean {
    if (this.#rules.size === 0) return false;
    if (id !== undefined && this.#rules.has(`jti:${id}`)) return true;
    const before = (key: string) => this.#rules.get(key)?.before ?? -Infinity;
    return issuedAt <= before("all") || issuedAt <= before(`user:${user}`);
  }

  /** Whether an API key is revoked. */
  coversKey(hash: string): boolean {
    return this.#rules.has(`key:${hash}`);
  }

  /** Forgets what may be forgotten; gives the keys. */
  prune(now: number): string[] {
    const due = [...this.#rules].filter(([, { until = Infinity }]) => until <= now).map(([key]) => key);
    for (const key of due) this.#rules.delete(key);
    return due;
  }

  /** A later revocation never shortens an earlier one. */
  #set(key: string, rule: Rule): Kept {
    const known = this.#rules.get(key);
    const before = Math.max(rule.before ?? -Infinity, known?.before ?? -Infinity);
    const until = Math.max(rule.until ?? Infinity, known === undefined ? 0 : known.until ?? Infinity);
    const merged = { ...(before !== -Infinity && { before }), ...(until !== Infinity && { until }) };
    this.#rules.set(key, merged);
    return [key, JSON.stringify(merged)];
  }
}

function forgottenAt({ until }: { readonly until?: number }): Rule {
  return until === undefined ? {} : { until };
}
