import { hash, timingSafeEqual } from "node:crypto";
import { PlugboardError } from "../../core/mod.ts";
import type { ApiKeyInfo, ApiKeyOptions } from "./types.ts";

/** An API key with its permissions: a long random text that backends sign in with, or the SHA-256 of it in hexadecimal digits. */
export type ApiKey = ApiKeyOptions & ({ readonly key: string } | { readonly hash: string });

/** Longer keys are refused before they are hashed. */
const MAX_KEY_LENGTH = 512;

/** Hashes that are remembered. Hashing takes longer than everything else in the sign-in of a request. */
const MAX_DIGESTS = 16;

/** Shorter keys can be guessed. */
export const SAFE_KEY_LENGTH = 16;

/**
 * API keys by name. Only the SHA-256 of a key is stored: keys are random, a slow hash would protect nothing more. A key
 * is compared with all entries in constant time.
 */
export class ApiKeys {
  readonly #entries = new Map<string, { readonly info: ApiKeyInfo; readonly digest: Uint8Array }>();

  /** The digests of the latest keys that were looked for, by key. A wrong key takes as long as a right one. */
  readonly #digests = new Map<string, Uint8Array>();

  /** Adds a key; throws if the key is invalid or the name is taken. */
  add(given: ApiKey, now: number): void {
    const { name, permissions } = given;
    const refuse = (rule: string) => {
      throw new PlugboardError("bad_api_key", `Cannot add the API key "${name}": ${rule}`);
    };
    if (name === "") refuse("its name must not be empty");
    if (this.#entries.has(name)) refuse("the name is taken");
    let digest: Uint8Array;
    if ("hash" in given) {
      if (!/^[0-9a-f]{64}$/.test(given.hash)) refuse("its hash must have 64 hexadecimal digits");
      digest = Uint8Array.fromHex(given.hash);
    } else {
      const { length } = given.key;
      if (length === 0 || length > MAX_KEY_LENGTH) refuse(`it must have 1 to ${MAX_KEY_LENGTH} characters`);
      digest = digestOf(given.key);
    }
    const { expiresAt, user } = given;
    const rest = { ...(expiresAt !== undefined && { expiresAt }), ...(user !== undefined && { user }) };
    this.#set({ name, permissions, ...rest, addedAt: now }, digest);
  }

  /** Whether there is a key with this name. */
  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Whether a key is the same among others, apart from when it was added. */
  isSame(name: string, others: ApiKeys): boolean {
    const [one, two] = [this, others].map((each) => {
      return each.has(name) ? { ...JSON.parse(each.stored(name)), addedAt: 0 } : undefined;
    });
    return JSON.stringify(one) === JSON.stringify(two);
  }

  /** Returns a key as it is stored: by its hash. */
  stored(name: string): string {
    const { info, digest } = this.#entries.get(name)!;
    return JSON.stringify({ ...info, hash: digest.toHex() });
  }

  /** Restores a stored key; returns `false` if the name is taken. */
  restore(name: string, stored: string): boolean {
    if (this.#entries.has(name)) return false;
    const { hash, ...info } = JSON.parse(stored) as ApiKeyInfo & { hash: string };
    this.#set(info, Uint8Array.fromHex(hash));
    return true;
  }

  /** Finds the entry of a key that has not expired. A key with several names has the permissions of all. */
  find(key: string, now: number): { info: ApiKeyInfo; hash: string } | undefined {
    if (key.length > MAX_KEY_LENGTH) return undefined;
    const digest = this.#digestOf(key);
    let found: ApiKeyInfo | undefined;
    for (const entry of this.#entries.values()) {
      if (!timingSafeEqual(entry.digest, digest) || (entry.info.expiresAt ?? Infinity) <= now) continue;
      const { permissions } = entry.info;
      found = found === undefined
        ? entry.info
        : { ...found, permissions: [...found.permissions, ...permissions] };
    }
    return found && { info: found, hash: digest.toHex() };
  }

  /** Removes a key; returns its hash. */
  remove(name: string): string | undefined {
    const entry = this.#entries.get(name);
    this.#entries.delete(name);
    return entry?.digest.toHex();
  }

  /** Returns the name of the key with this hash. */
  nameOf(hash: string): string | undefined {
    for (const [name, { digest }] of this.#entries) if (digest.toHex() === hash) return name;
  }

  /** All keys, the oldest first. */
  list(): readonly ApiKeyInfo[] {
    return Array.from(this.#entries.values(), ({ info }) => info);
  }

  #digestOf(key: string): Uint8Array {
    if (this.#digests.size >= MAX_DIGESTS && !this.#digests.has(key)) this.#digests.clear();
    return this.#digests.getOrInsertComputed(key, digestOf);
  }

  #set(info: ApiKeyInfo, digest: Uint8Array): void {
    const { name, permissions } = info;
    const frozen = Object.freeze({ ...info, permissions: Object.freeze([...permissions]) });
    this.#entries.set(name, { info: frozen, digest });
  }
}

function digestOf(key: string): Uint8Array {
  return hash("sha256", key, "buffer");
}

/**
 * Parses keys from a setting: `name:key:permission+permission`, separated by commas. Throws if one of the three parts is
 * missing, or a permission is invalid.
 *
 * ```ts
 * import { parseApiKeys } from "@plugboard/server/auth";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(parseApiKeys("ops:c2VjcmV0LW9mLW9wcw:admin, news:c2VjcmV0LW9mLW5ld3M:read:news+write:news"), [
 *   { name: "ops", key: "c2VjcmV0LW9mLW9wcw", permissions: ["admin"] },
 *   { name: "news", key: "c2VjcmV0LW9mLW5ld3M", permissions: ["read:news", "write:news"] },
 * ]);
 * ```
 */
export function parseApiKeys(text: string): (ApiKeyOptions & { readonly key: string })[] {
  return text.split(",").map((part) => part.trim()).filter(Boolean).map((part, i) => {
    const [, name, key, permissions] = part.match(KEY) ?? [];
    const list = permissions?.split("+") ?? [];
    if (name !== undefined && key !== undefined && list.length > 0 && list.every(isPermission)) {
      return { name, key, permissions: list };
    }
    // The invalid text may be a part of a key, so the error does not show it.
    const rule =
      "with permissions such as read:news, write:chat:*, admin or *, joined by +, and keys by commas";
    throw new PlugboardError(
      "bad_setting",
      `API_KEYS must be name:key:permission+permission, ${rule}; see key ${i + 1}`,
    );
  });
}

function isPermission(text: string): boolean {
  return /^(?:\*|admin|(?:read|write|query|admin):.+)$/.test(text);
}

const KEY = /^([^:]+):([^:]+):(.+)$/;
