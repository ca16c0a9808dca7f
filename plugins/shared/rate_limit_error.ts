/**
 * The error of somebody who did too much, with the time to wait.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** Too much of something; `retryAfterMs` tells when it is allowed again. */
export class RateLimitError extends PlugboardError {
  /** How long to wait. */
  readonly retryAfterMs: number;

  /** `what` is what there was too much of: `Too many messages sent`. */
  constructor(what: string, retryAfterMs: number) {
    super("too_many_requests", `Rate limit exceeded: ${what}, try again in ${inWords(retryAfterMs)}`);
    this.retryAfterMs = retryAfterMs;
  }
}

function inWords(ms: number): string {
  return ms < 1_000 ? `${Math.ceil(ms)} ms` : `${Math.ceil(ms / 1_000)} s`;
}
