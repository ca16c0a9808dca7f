/**
 * Limits of HTTP requests, and how they are told.
 *
 * @module
 */

import { refusal } from "../../core/mod.ts";
import { subnetOf } from "../shared/client_ip.ts";
import { RateLimitError } from "../shared/rate_limit_error.ts";
import { Buckets } from "./buckets.ts";
import type { Pace } from "./rates.ts";

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
export function limitRequests({ pace, maxTracked, now, refused }: {
  pace: Pace;
  maxTracked: number;
  now: () => number;
  refused: () => void;
}): LimitingMiddleware {
  const requests = new Buckets(pace, maxTracked);
  const policy = `"requests";q=${pace.limit};w=${seconds(pace.windowMs)}`;

  /** The fields of draft-ietf-httpapi-ratelimit-headers: what is allowed, and how much of it remains until when. */
  function headers(address: string, at: number): Record<string, string> {
    const remaining = Math.max(0, Math.floor(pace.limit - requests.spent(address, at)));
    const untilFullMs = Math.max(0, requests.fullAt(address) - at);
    return {
      "ratelimit-policy": policy,
      "ratelimit": `"requests";r=${remaining};t=${seconds(untilFullMs)}`,
    };
  }

  return async (c, next) => {
    const [address, at] = [subnetOf(c.env.ip), now()];
    const waitMs = requests.take(address, at);
    const told = headers(address, at);
    if (waitMs > 0) {
      refused();
      return tooMany(new RateLimitError("Too many requests", waitMs), told);
    }
    await next();
    for (const [name, value] of Object.entries(told)) c.header(name, value);
  };
}

function seconds(ms: number): string {
  return String(Math.ceil(ms / 1000));
}
