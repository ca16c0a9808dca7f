import { type Log, PlugboardError } from "../../core/mod.ts";
import type { KeyValueStore } from "../shared/key_value_store.ts";
import { type ApiKey, ApiKeys, SAFE_KEY_LENGTH } from "./api_keys.ts";
import type { ApiKeyOptions } from "./types.ts";

/** The length of keys that the server makes. */
const KEY_BYTES = 32;

/** The API keys with their store, and warnings of short ones. */
export class KeyRing {
  readonly keys = new ApiKeys();
  readonly #store: KeyValueStore | undefined;
  /** The names of short keys, until there is a log. */
  readonly #short: string[] = [];
  #log: Log | undefined;

  /** The names of the keys that the app knows. */
  readonly #own = new Set<string>();

  constructor(store: KeyValueStore | undefined) {
    this.#store = store;
  }

  /** Adds a key that the app knows. */
  add(key: ApiKey, now: number): void {
    this.keys.add(key, now);
    this.#own.add(key.name);
    if ("key" in key && key.key.length < SAFE_KEY_LENGTH) this.#short.push(key.name);
    this.#warn();
  }

  /**
   * Checks other keys of the app. Returns the function that replaces the current ones, and calls `close` with the names of those
   * that have ended or changed.
   */
  prepare(given: readonly ApiKey[], now: number, close: (ended: ReadonlySet<string>) => void): () => void {
    const next = new ApiKeys();
    for (const key of given) {
      if (!this.#own.has(key.name) && this.keys.has(key.name)) {
        throw new PlugboardError("bad_api_key", `Cannot add the API key "${key.name}": the name is taken`);
      }
      next.add(key, now);
    }
    return () => {
      const ended = [...this.#own].filter((name) => !this.keys.isSame(name, next));
      for (const name of ended) {
        this.keys.remove(name);
        this.#own.delete(name);
      }
      for (const key of given) if (!this.#own.has(key.name)) this.add(key, now);
      close(new Set(ended));
    };
  }

  /** Makes a key and stores its hash. */
  async create(about: ApiKeyOptions, now: number): Promise<string> {
    const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES)).toBase64({
      alphabet: "base64url",
      omitPadding: true,
    });
    this.keys.add({ key, ...about }, now);
    try {
      await this.#store?.set(about.name, this.keys.stored(about.name));
    } catch (error) {
      this.keys.remove(about.name);
      throw error;
    }
    return key;
  }

  /** Removes a key from the store. */
  async forget(name: string): Promise<void> {
    await this.#store?.delete(name);
  }

  /** Follows the keys of other nodes. Returns the function that ends it. */
  watch(): () => void {
    const changed = (name: string, stored: string | undefined) => {
      if (stored === undefined) this.keys.remove(name);
      else this.keys.restore(name, stored);
    };
    return this.#store?.watch?.(changed) ?? (() => {});
  }

  /** Restores the stored keys. */
  async start(log: Log): Promise<void> {
    this.#log = log;
    this.#warn();
    for (const [name, stored] of await this.#store?.load() ?? []) {
      if (!this.keys.restore(name, stored)) {
        log.warn(`the stored API key "${name}" is not used, its name is taken`);
      }
    }
  }

  #warn(): void {
    for (const name of this.#log === undefined ? [] : this.#short.splice(0)) {
      this.#log?.warn(
        `the API key "${name}" has fewer than ${SAFE_KEY_LENGTH} characters and can be guessed; use a longer one`,
      );
    }
  }
}
