import { networkOf, refusalFor } from "../../core/mod.ts";
import { RateLimitError } from "../shared/rate_limit_error.ts";
import { Buckets } from "./buckets.ts";
import type { Pace } from "./rates.ts";

/** Hono middleware: answers 429 beyond the limit, and adds the remaining quota to all other responses. */
export type LimitingMiddleware = (
  c: {
    readonly req: { readonly raw: Request };
    readonly env: { readonly ip: string };
    readonly res: Response;
    header(name: string, value: string): void;
  },
  next: () => Promise<void>,
) => Promise<Response | void>;

/** Limits requests by address. */
export function limitRequests({ pace, maxTracked, now, refused }: {
  pace: Pace;
  maxTracked: number;
  now: () => number;
  refused: () => void;
}): LimitingMiddleware {
  const requests = new Buckets(pace, maxTracked);
  const policy = `"requests";q=${pace.limit};w=${seconds(pace.windowMs)}`;

  /** The fields of draft-ietf-httpapi-ratelimit-headers. */
  function quota(address: string, at: number): Record<string, string> {
    const remaining = Math.max(0, Math.floor(pace.limit - requests.spent(address, at)));
    const untilFullMs = Math.max(0, requests.fullAt(address) - at);
    return {
      "ratelimit-policy": policy,
      "ratelimit": `"requests";r=${remaining};t=${seconds(untilFullMs)}`,
    };
  }

  return async (c, next) => {
    const [address, at] = [networkOf(c.env.ip), now()];
    const waitMs = requests.take(address, at);
    const headers = quota(address, at);
    if (waitMs > 0) {
      refused();
      return refusalFor(new RateLimitError("Too many requests", waitMs), headers);
    }
    await next();
    for (const [name, value] of Object.entries(headers)) {
      try {
        c.res.headers.set(name, value);
      } catch {
        c.header(name, value); // Copies a response whose headers are immutable. The copy's body is a stream, which is slow.
      }
    }
  };
}

function seconds(ms: number): string {
  return String(Math.ceil(ms / 1000));
}
