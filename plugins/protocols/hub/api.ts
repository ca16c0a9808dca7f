/**
 * The hub's HTTP side: what backends call.
 *
 * @module
 */

import type { Context } from "@hono/hono";
import { type App, type Clock, type MaybePromise, PlugboardError } from "../../../core/mod.ts";
import { type BodyLimits, readText } from "../../shared/body.ts";
import { memoryResults, once } from "../../shared/idempotency.ts";
import { RateLimitError } from "../../shared/rate_limit_error.ts";
import type { HubMessage } from "./message.ts";
import type { HubStats } from "./roster.ts";
import type { Sending, SendReport, Targets } from "./sending.ts";

/** What the routes need. */
export interface ApiParts extends Sending {
  readonly base: string;
  readonly limits: Omit<BodyLimits, "clock">;
  readonly clock: () => Clock;
  /** Whether the request's sender may; else the answer to it. */
  authorize(c: ApiContext): MaybePromise<Response | undefined>;
  health(): { readonly status: string; readonly stats: HubStats };
  failed(error: unknown): void;
}

/** The request as Hono hands it over. */
export type ApiContext = Context<{ Bindings: { ip: string } }>;

/** Results of calls with an `Idempotency-Key` are kept this long, up to a maximum. */
const RESULT_MS = 120_000;
const MAX_RESULTS = 10_000;

const STATUS: Readonly<Record<string, number>> = {
  bad_request: 400,
  unauthorized: 401,
  permission_denied: 403,
  timeout: 408,
  too_large: 413,
  too_many_requests: 429,
};

/** Adds the routes. */
export function addRoutes(app: App, parts: ApiParts): void {
  const { base, clock, failed } = parts;
  const results = memoryResults<Promise<object>>(MAX_RESULTS, clock);

  /** A call of a backend: checked, read, done once, answered. */
  const call = (path: string, work: (body: unknown) => Promise<object>) => {
    app.post(base + path, async (c) => {
      try {
        const refused = await parts.authorize(c);
        if (refused !== undefined) return refused;
        const body = parse(await readText(c.req.raw, { ...parts.limits, clock: clock() }));
        const key = c.req.header("idempotency-key");
        const run = () => work(body);
        const result = await (key === undefined ? run() : once(results, `${path} ${key}`, RESULT_MS, run));
        return c.json({ status: "success", ...result });
      } catch (error) {
        return refusalFor(error, failed);
      }
    });
  };

  call("/api/send", async (body) => {
    const { targetUserId, targetSessionId, message } = objectFrom(body);
    const targets = {
      ...target("user", "targetUserId", targetUserId),
      ...target("session", "targetSessionId", targetSessionId),
    };
    const report = await parts.send(targets, message as HubMessage);
    return { message: inWords(report), ...report };
  });

  call("/api/broadcast", async (body) => {
    const delivered = await parts.broadcast(body as HubMessage);
    return { message: "Broadcast sent successfully", delivered };
  });

  app.get(`${base}/health`, (c) => {
    const health = parts.health();
    return c.json(health, health.status === "healthy" ? 200 : 503);
  });
}

function target(name: keyof Targets, field: string, value: unknown): Targets {
  if (value === undefined || value === null || value === "") return {};
  if (typeof value !== "string") throw new PlugboardError("bad_request", `${field} must be a string`);
  return { [name]: value };
}

function inWords({ delivered, targets }: SendReport): string {
  if (delivered > 0) return "Message sent successfully";
  const known = Object.values(targets).some((each) => each.known);
  return known ? "Nobody is connected; the message is kept" : "Nobody is connected under this target";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PlugboardError("bad_request", "The body must be JSON");
  }
}

function objectFrom(body: unknown): Readonly<Record<string, unknown>> {
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return { ...body };
  throw new PlugboardError("bad_request", "The body must be a JSON object");
}

/** The answer to a call that was not done. */
function refusalFor(error: unknown, failed: (error: unknown) => void): Response {
  const status = error instanceof PlugboardError ? STATUS[error.code] : undefined;
  if (status === undefined) {
    failed(error);
    const body = { status: "error", code: "internal", message: "Internal server error" };
    return Response.json(body, { status: 500 });
  }
  const { code, message } = error as PlugboardError;
  const headers = error instanceof RateLimitError
    ? { "retry-after": String(Math.ceil(error.retryAfterMs / 1000)) }
    : {};
  return Response.json({ status: "error", code, message }, { status, headers });
}
