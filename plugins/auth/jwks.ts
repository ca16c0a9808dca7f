/**
 * Keys that an identity provider publishes at a URL (JWKS).
 *
 * `jose` has a reader for them too. This one differs in what happens on a bad day: an endpoint that is down is
 * asked at growing intervals and not once per token, and keys that are known stay good meanwhile.
 *
 * @module
 */

import { createLocalJWKSet, errors, type JWTHeaderParameters } from "jose";
import { checkOptions, type Clock, type Log, PlugboardError } from "../../core/mod.ts";

/** Options for keys from a URL. */
export interface JwksOptions {
  /** Where the provider publishes them. */
  readonly url: string;
  /** How long they are used without asking again; at half of it they are fetched anew in the background. @default {600000} */
  readonly maxAgeMs?: number;
  /** How long they stay good while the provider cannot be reached. @default {86400000} a day */
  readonly maxStaleMs?: number;
  /** How often tokens with an unknown key id may have them fetched anew. @default {10000} */
  readonly cooldownMs?: number;
  /** How long a request may take. @default {5000} */
  readonly timeoutMs?: number;
}

/** Keys by a token's header. */
export interface RemoteKeys {
  /** Fetches the keys ahead of the first token. */
  start(clock: Clock, log: Log): void;
  stop(): void;
  /** The keys that the token may have been signed with; none if the provider knows no such key. */
  keysFor(header: JWTHeaderParameters, now: number): Promise<CryptoKey[]>;
}

/** A set of keys is a few kilobytes. */
const MAX_BYTES = 262_144;
/** Keys tried for a token without a key id. */
const MAX_CANDIDATES = 8;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** Reads keys from a URL, and keeps them. */
export function remoteKeys(options: JwksOptions): RemoteKeys {
  const { url, maxAgeMs = 600_000, maxStaleMs = 86_400_000, cooldownMs = 10_000, timeoutMs = 5_000 } =
    options;
  const check = checkOptions("auth");
  check.that(/^https?:$/.test(URL.parse(url)?.protocol ?? ""), "jwks.url", "an http or https URL", url);
  for (const [name, value] of Object.entries({ maxAgeMs, maxStaleMs, cooldownMs, timeoutMs })) {
    check.positiveInteger(`jwks.${name}`, value);
  }

  let host: { clock: Clock; log: Log } | undefined;
  let known: { keys: KeySet; fetchedAt: number } | undefined;
  let fetching: Promise<void> | undefined;
  let abort: AbortController | undefined;
  let failures = 0;
  let notBefore = 0;

  /** Fetches anew; everybody who needs that waits for the same request. Never rejects. */
  function refresh({ clock, log }: { clock: Clock; log: Log }): Promise<void> {
    return fetching ??= fetchKeys(clock).then((keys) => {
      const now = clock.now();
      known = { keys, fetchedAt: now };
      failures = 0;
      notBefore = now + cooldownMs;
    }).catch((error) => {
      if (host === undefined) return;
      const waitMs = Math.min(FIRST_RETRY_MS * 2 ** failures++, LAST_RETRY_MS);
      notBefore = clock.now() + waitMs;
      log.warn(`the keys at ${url} could not be fetched; next try in ${waitMs} ms`, { error });
    }).finally(() => fetching = undefined);
  }

  async function fetchKeys(clock: Clock): Promise<KeySet> {
    const own = abort = new AbortController();
    const cancel = clock.after(timeoutMs, () => own.abort(new Error(`no answer within ${timeoutMs} ms`)));
    try {
      const headers = { accept: "application/jwk-set+json, application/json" };
      const response = await fetch(url, { signal: own.signal, redirect: "error", headers });
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new Error(`the answer was ${response.status}`);
      }
      return keySet(JSON.parse(await textOf(response)));
    } finally {
      cancel();
    }
  }

  /** A request that is under way or allowed now; nothing while the provider is to be left alone. */
  function ask(now: number): Promise<void> | undefined {
    if (host === undefined) return undefined;
    return fetching ?? (now >= notBefore ? refresh(host) : undefined);
  }

  return {
    start(clock, log) {
      host = { clock, log };
      refresh(host);
    },
    stop() {
      host = undefined;
      abort?.abort(new Error("the server stops"));
    },
    async keysFor(header, now) {
      const age = known === undefined ? Infinity : now - known.fetchedAt;
      const refreshed = age > maxAgeMs / 2 ? ask(now) : undefined;
      if (age > maxAgeMs) await refreshed;
      if (known === undefined || now - known.fetchedAt > maxAgeMs + maxStaleMs) throw unavailable();
      const found = await candidates(known.keys, header);
      if (found.length > 0) return found;
      await ask(now);
      return await candidates(known.keys, header);
    },
  };
}

function unavailable(): PlugboardError {
  return new PlugboardError("unavailable", "Sign-in is not available at the moment");
}

function keySet(value: unknown): KeySet {
  const keys = (value as { keys?: unknown } | null)?.keys;
  // An empty set would lock everybody out; it is more likely an accident than a wish.
  if (!Array.isArray(keys) || keys.length === 0) throw new Error("the answer is no set of keys");
  return createLocalJWKSet({ keys });
}

async function candidates(keys: KeySet, header: JWTHeaderParameters): Promise<CryptoKey[]> {
  try {
    return [await keys(header)];
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return [];
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) {
      throw new PlugboardError("invalid_token", "Invalid token", { cause: error });
    }
    const found: CryptoKey[] = [];
    for await (const key of error) if (found.push(key) === MAX_CANDIDATES) break;
    return found;
  }
}

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Error(`the answer has more than ${MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
