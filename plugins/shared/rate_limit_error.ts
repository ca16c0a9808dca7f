/**
 * The error for exceeding a rate limit.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** Too much of something. */
export class RateLimitError extends PlugboardError {
  /** How long to wait before the next attempt. */
  readonly retryAfterMs: number;

  /** Makes an error; `what` names the limit: `Too many messages sent`. */
  constructor(what: string, retryAfterMs: number) {
    const wait = retryAfterMs < 1_000
      ? `${Math.ceil(retryAfterMs)} ms`
      : `${Math.ceil(retryAfterMs / 1_000)} s`;
    super("too_many_requests", `Rate limit exceeded: ${what}, try again in ${wait}`);
    this.retryAfterMs = retryAfterMs;
  }
}
