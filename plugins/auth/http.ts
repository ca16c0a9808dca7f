/**
 * Sign-in over HTTP: refusals as answers, and a middleware.
 *
 * @module
 */

import { PlugboardError, refusal } from "../../core/mod.ts";
import type { Verb } from "../shared/identity.ts";
import { RateLimitError } from "../shared/rate_limit_error.ts";
import type { Middleware, ProofCarrier, SignIn } from "./types.ts";

const STATUS: Readonly<Record<string, number>> = {
  unauthorized: 401,
  invalid_token: 401,
  token_expired: 401,
  token_mismatch: 401,
  permission_denied: 403,
  connection_limit: 429,
  too_many_requests: 429,
  unavailable: 503,
};

/** How soon to try again where the error does not say. */
const RETRY_AFTER_S = 5;

/** The answer to whoever was not let in; anything but a refusal is thrown on. */
export function refusalFor(error: unknown): Response {
  const status = error instanceof PlugboardError ? STATUS[error.code] : undefined;
  if (status === undefined) throw error;
  const { code, message } = error as PlugboardError;
  return refusal(status, code, message, headersFor(status, error as PlugboardError));
}

function headersFor(status: number, error: PlugboardError): Record<string, string> {
  if (status === 401) {
    // RFC 6750: without a proof there is no error to name.
    const challenge = error.code === "unauthorized" ? "Bearer" : `Bearer error="invalid_token"`;
    return { "www-authenticate": challenge };
  }
  if (status === 403) return {};
  const seconds = error instanceof RateLimitError ? Math.ceil(error.retryAfterMs / 1000) : RETRY_AFTER_S;
  return { "retry-after": String(seconds) };
}

/** The answer to somebody who may not do this; one who is nobody in particular is asked to sign in. */
export function permissionRefusal(
  signIn: SignIn | undefined,
  verb: Verb,
  resource: string,
): Response | undefined {
  if (signIn?.identity.can(verb, resource)) return undefined;
  return refusalFor(
    signIn === undefined || signIn.identity.anonymous
      ? new PlugboardError("unauthorized", "Authentication required")
      : new PlugboardError("permission_denied", "Permission denied"),
  );
}

/** The answer to a page of somewhere else. */
export function originRefusal(): Response {
  return refusal(
    403,
    "origin_not_allowed",
    "Pages of this origin may not connect; ALLOWED_ORIGINS lists those that may",
  );
}

/** Lets a request pass whose sender may do this. */
export function authMiddleware({ admits, prove, verb, resource }: {
  admits: (headers: Headers) => boolean;
  prove: (request: ProofCarrier, ip: string) => Promise<SignIn>;
  verb: Verb;
  resource: string;
}): Middleware {
  return async (c, next) => {
    if (!admits(c.req.raw.headers)) return originRefusal();
    let refused: Response | undefined;
    try {
      refused = permissionRefusal(await prove(c.req.raw, c.env.ip), verb, resource);
    } catch (error) {
      const without = error instanceof PlugboardError && error.code === "unauthorized";
      refused = without ? permissionRefusal(undefined, verb, resource) : refusalFor(error);
    }
    if (refused !== undefined) return refused;
    await next();
  };
}
