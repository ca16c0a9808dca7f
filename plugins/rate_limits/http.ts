/**
 * Limits of HTTP requests, and how they are told.
 *
 * @module
 */

import { refusal } from "../../core/mod.ts";
import { subnetOf } from "../shared/client_ip.ts";
import { RateLimitError } from "../shared/rate_limit_error.ts";
import { type Pace, spend, spent } from "./rates.ts";
import type { RecentMap } from "./recent_map.ts";

/** Hono middleware: answers 429 to those who ask too often, and tells all others how often they still may. */
export type LimitingMiddleware = (
  c: {
    readonly req: { readonly raw: Request };
    readonly env: { readonly ip: string };
    header(name: string, value: string): void;
  },
  next: () => Promise<void>,
) => Promise<Response | void>;

/** The answer to somebody who did too much. */
export function tooMany(
  { code, message, retryAfterMs }: RateLimitError,
  more: Record<string, string> = {},
): Response {
  return refusal(429, code, message, { "retry-after": seconds(retryAfterMs), ...more });
}

/** Limits requests by address. */
export function limitRequests({ pace, counts, now, refused }: {
  pace: Pace;
  counts: RecentMap<number>;
  now: () => number;
  refused: () => void;
}): LimitingMiddleware {
  const { limit, windowMs } = pace;
  const policy = `"requests";q=${limit};w=${seconds(windowMs)}`;

  /** The fields of draft-ietf-httpapi-ratelimit-headers: what is allowed, and how much of it remains until when. */
  function headers(fullAt: number, at: number): Record<string, string> {
    const remaining = Math.max(0, Math.floor(limit - spent(pace, fullAt, at)));
    return {
      "ratelimit-policy": policy,
      "ratelimit": `"requests";r=${remaining};t=${seconds(Math.max(0, fullAt - at))}`,
    };
  }

  return async (c, next) => {
    const at = now();
    const key = subnetOf(c.env.ip);
    const before = counts.get(key) ?? 0;
    const fullAt = spend(pace, before, 1, at);
    if (fullAt < 0) {
      refused();
      return tooMany(new RateLimitError("Too many requests", -fullAt), headers(before, at));
    }
    counts.set(key, fullAt);
    await next();
    for (const [name, value] of Object.entries(headers(fullAt, at))) c.header(name, value);
  };
}

function seconds(ms: number): string {
  return String(Math.ceil(ms / 1000));
}
