/**
 * API keys: long random texts that backends prove themselves with.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { PlugboardError } from "../../core/mod.ts";
import type { ApiKeyInfo, ApiKeyOptions } from "./types.ts";

/** A key with what it allows. */
export type ApiKey = ApiKeyOptions & { readonly key: string };

/** No key is longer; more is not even hashed. */
const MAX_KEY_LENGTH = 512;

interface Entry {
  readonly info: ApiKeyInfo;
  readonly digest: Uint8Array;
}

/**
 * Keys by name. Of a key only the SHA-256 is kept: it is random, so there is nothing a slow hash could protect.
 * A given key is compared with every one there is, each time in full, so that the time tells nothing.
 */
export class ApiKeys {
  readonly #entries = new Map<string, Entry>();

  /** Adds a key; throws if it is unfit or the name is taken. */
  add(key: string, { name, permissions, ...rest }: ApiKeyOptions, now: number): void {
    if (key === "" || key.length > MAX_KEY_LENGTH || name === "") {
      const rule = `its name must not be empty and it must have 1 to ${MAX_KEY_LENGTH} characters`;
      throw new PlugboardError("bad_api_key", `Cannot add the API key "${name}": ${rule}`);
    }
    if (this.#entries.has(name)) {
      throw new PlugboardError("bad_api_key", `Cannot add the API key "${name}": there is one of this name`);
    }
    const info = Object.freeze({ name, permissions: Object.freeze([...permissions]), ...rest, addedAt: now });
    this.#entries.set(name, { info, digest: digestOf(key) });
  }

  /** The key's entry, if there is such a key and it has not ended. */
  find(key: string, now: number): { info: ApiKeyInfo; hash: string } | undefined {
    if (key.length > MAX_KEY_LENGTH) return undefined;
    const digest = digestOf(key);
    let found: Entry | undefined;
    for (const entry of this.#entries.values()) if (timingSafeEqual(entry.digest, digest)) found = entry;
    if (found === undefined || (found.info.expiresAt ?? Infinity) <= now) return undefined;
    return { info: found.info, hash: found.digest.toHex() };
  }

  /** Removes a key and gives its hash. */
  remove(name: string): string | undefined {
    const entry = this.#entries.get(name);
    this.#entries.delete(name);
    return entry?.digest.toHex();
  }

  /** All keys, the earliest first. */
  list(): readonly ApiKeyInfo[] {
    return Array.from(this.#entries.values(), ({ info }) => info);
  }
}

function digestOf(key: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(key).digest());
}

/**
 * Reads keys as settings have them: `key`, `name:key` or `name:key:permission+permission`, separated by commas.
 * Without permissions a key may do everything, as a backend usually does. What is no permission throws.
 *
 * ```ts
 * import { parseApiKeys } from "@plugboard/server/auth";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(parseApiKeys("backend:c2VjcmV0, metrics:bW9yZQ:read:metrics+read:news"), [
 *   { name: "backend", key: "c2VjcmV0", permissions: ["admin"] },
 *   { name: "metrics", key: "bW9yZQ", permissions: ["read:metrics", "read:news"] },
 * ]);
 * ```
 */
export function parseApiKeys(text: string): ApiKey[] {
  return text.split(",").map((part) => part.trim()).filter(Boolean).map((part, i) => {
    const [, name = `key ${i + 1}`, key = "", permissions = "admin"] = part.match(KEY) ?? [];
    const list = permissions.split("+");
    if (list.every((permission) => PERMISSION.test(permission))) return { name, key, permissions: list };
    // What stands there may be a part of a key, so it is not shown.
    const rule = "permissions such as read:news, write:chat:*, admin or *, joined by +";
    throw new PlugboardError("bad_setting", `API_KEYS must have ${rule} behind key ${i + 1}`);
  });
}

const PERMISSION = /^(?:\*|admin|(?:read|write|query|admin):.+)$/;

/** A name is needed where permissions follow: a key alone is everything up to the comma. */
const KEY = /^(?:([^:]+):)?([^:]*)(?::(.+))?$/;
