import { createLocalJWKSet, errors, type JWTHeaderParameters } from "jose";
import { checkOptions, type Clock, type Log, PlugboardError, systemClock } from "../../core/mod.ts";
import { backoffMs } from "../shared/backoff.ts";
import { readText } from "../shared/body.ts";
import { isHttpUrl } from "../shared/http_url.ts";

/** Options for keys from a URL. */
export interface JwksOptions {
  /** Where the provider publishes them. */
  readonly url: string;
  /** How long keys are used before they are fetched again; the refresh starts at half of it. @default {600000} */
  readonly maxAgeMs?: number;
  /** How long keys stay valid while the provider is unreachable. @default {86400000} a day */
  readonly maxStaleMs?: number;
  /** Minimum time between fetches because of unknown key ids. @default {10000} */
  readonly cooldownMs?: number;
  /** Timeout of a request. @default {5000} */
  readonly timeoutMs?: number;
}

/** Looks up keys by a token's header. */
export interface RemoteKeys {
  /** Fetches the keys before the first token arrives. */
  start(clock: Clock, log: Log): void;
  stop(): void;
  /** Returns the candidate keys for a token; none if the provider does not know the key. */
  keysFor(header: JWTHeaderParameters): Promise<CryptoKey[]>;
}

/** A key set usually has a few kilobytes. */
const MAX_BYTES = 262_144;
/** How many keys are tried for a token without a key id. */
const MAX_CANDIDATES = 8;

type KeySet = ReturnType<typeof createLocalJWKSet>;

/**
 * Fetches the keys that an identity provider publishes at a URL (JWKS), and caches them.
 *
 * Unlike the reader of `jose`, this one retries an endpoint that is down with back-off instead of once per token, and
 * known keys stay valid meanwhile.
 */
export function remoteKeys(options: JwksOptions): RemoteKeys {
  const { url, maxAgeMs = 600_000, maxStaleMs = 86_400_000, cooldownMs = 10_000, timeoutMs = 5_000 } =
    options;
  const check = checkOptions("auth");
  check.that(isHttpUrl(url), "jwks.url", "an http or https URL without a user name", "something else");
  for (const [name, value] of Object.entries({ maxAgeMs, maxStaleMs, cooldownMs, timeoutMs })) {
    check.positiveInteger(`jwks.${name}`, value);
  }

  let host: { clock: Clock; log: Log } | undefined;
  let now = systemClock.monotonicTime;
  let known: { keys: KeySet; fetchedAt: number } | undefined;
  let fetching: Promise<void> | undefined;
  let abort: AbortController | undefined;
  let failures = 0;
  let notBefore = -Infinity;

  /** Fetches the keys; concurrent callers share one request. Never rejects. */
  function refresh({ clock, log }: { clock: Clock; log: Log }): Promise<void> {
    return fetching ??= fetchKeys(clock).then((keys) => {
      known = { keys, fetchedAt: now() };
      failures = 0;
      notBefore = now() + cooldownMs;
    }).catch((error) => {
      if (host === undefined) return;
      const waitMs = backoffMs(failures++, 1_000, 60_000);
      notBefore = now() + waitMs;
      log.warn(`cannot fetch the keys at ${url}; next attempt in ${waitMs} ms`, { error });
    }).finally(() => fetching = undefined);
  }

  async function fetchKeys(clock: Clock): Promise<KeySet> {
    const controller = abort = new AbortController();
    const cancel = clock.after(
      timeoutMs,
      () => controller.abort(new Error(`no response within ${timeoutMs} ms`)),
    );
    try {
      const headers = { accept: "application/jwk-set+json, application/json" };
      const response = await fetch(url, { signal: controller.signal, redirect: "error", headers });
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new Error(`the response was ${response.status}`);
      }
      return keySet(JSON.parse(await readText(response, { maxBytes: MAX_BYTES, timeoutMs, clock })));
    } finally {
      cancel();
    }
  }

  /** Joins the current request or starts one; `undefined` during the cooldown. */
  function ask(): Promise<void> | undefined {
    if (host === undefined) return undefined;
    return fetching ?? (now() >= notBefore ? refresh(host) : undefined);
  }

  return {
    start(clock, log) {
      host = { clock, log };
      now = () => clock.monotonicTime();
      refresh(host);
    },
    stop() {
      host = undefined;
      abort?.abort(new Error("the server is stopping"));
    },
    async keysFor(header) {
      const age = () => known === undefined ? Infinity : now() - known.fetchedAt;
      const refreshed = age() > maxAgeMs / 2 ? ask() : undefined;
      if (age() > maxAgeMs) await refreshed;
      if (known === undefined || age() > maxAgeMs + maxStaleMs) {
        throw new PlugboardError("unavailable", "Sign-in is not available at the moment");
      }
      const found = await candidates(known.keys, header);
      if (found.length > 0) return found;
      await ask();
      return await candidates(known.keys, header);
    },
  };
}

function keySet(value: unknown): KeySet {
  const keys = (value as { keys?: unknown } | null)?.keys;
  // An empty set would lock out all users; it is probably an accident.
  if (!Array.isArray(keys) || keys.length === 0) throw new Error("the response is not a key set");
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
