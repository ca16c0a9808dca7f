import type { Context } from "@hono/hono";
import { type App, type Clock, httpError, PlugboardError } from "../../../core/mod.ts";
import type { Access } from "../../auth/types.ts";
import { type BodyLimits, readText } from "../../shared/body.ts";
import { memoryResults, once, serverOwner } from "../../shared/idempotency.ts";
import { memberText } from "../../shared/json_text.ts";
import { Payload } from "../../shared/payload.ts";
import { isRecord } from "../../shared/records.ts";
import type { HubMessage } from "./message.ts";
import type { Sender, SendReport, Targets } from "./sending.ts";

/** What the routes need. */
export interface ApiParts {
  readonly sender: Sender;
  readonly base: string;
  readonly limits: Omit<BodyLimits, "clock">;
  readonly clock: () => Clock;
  readonly access: Pick<Access, "authorize">;
  /** Whether backends have the hub's own key, so that errors name its header. */
  readonly hasKey: boolean;
  failed(error: unknown): void;
}

/** How long results of calls with an `Idempotency-Key` are kept, their maximum number, and the size of their keys. */
const RESULT_MS = 120_000;
const MAX_RESULTS = 10_000;
const MAX_RESULT_CHARS = 8_388_608;

/** Adds the hub's HTTP routes for backends. */
export function addRoutes(app: App, parts: ApiParts): void {
  const { sender, base, clock } = parts;
  const results = memoryResults<Promise<object>>({
    maxEntries: MAX_RESULTS,
    maxChars: MAX_RESULT_CHARS,
    clock,
  });

  const route = (path: string, work: (body: unknown, text: string) => Promise<object>) => {
    app.post(base + path, async (c) => {
      try {
        await authorize(c, parts);
        const text = await readText(c.req.raw, { ...parts.limits, clock: clock() });
        const body = parse(text);
        const key = c.req.header("idempotency-key");
        const run = () => work(body, text);
        const repeatable = { key: `${path} ${key}`, owner: serverOwner, ttlMs: RESULT_MS };
        const result = await (key === undefined ? run() : once(results, repeatable, run));
        return c.json({ status: "success", ...result });
      } catch (error) {
        return errorResponse(error, parts);
      }
    });
  };

  route("/api/send", async (body, text) => {
    const { targetUserId, targetSessionId, message } = objectFrom(body);
    const targets = {
      ...target("user", "targetUserId", targetUserId),
      ...target("session", "targetSessionId", targetSessionId),
    };
    const report = await sender.send(targets, messageFrom(message, text, "message"));
    return { message: summary(report), ...report };
  });

  route("/api/broadcast", async (body, text) => {
    const delivered = await sender.broadcast(messageFrom(body, text));
    return { message: "Broadcast sent successfully", delivered };
  });
}

/** Takes the payload as it was written: numbers stay exact. The sender checks the message. */
function messageFrom(message: unknown, body: string, ...path: string[]): HubMessage {
  const text = isRecord(message) ? memberText(body, ...path, "payload") : undefined;
  if (text === undefined) return message as HubMessage;
  return { ...message as HubMessage, payload: Payload.fromValidJson(text) };
}

/** Admits backends with the hub's key, and admins. */
async function authorize(
  { req, env }: Context<{ Bindings: { ip: string } }>,
  { access, hasKey }: ApiParts,
): Promise<void> {
  const key = req.header("x-api-key");
  let request: Pick<Request, "url" | "headers"> = req.raw;
  if (hasKey && key !== undefined && req.header("authorization") !== undefined) {
    // The key takes precedence over the credentials for a gateway.
    request = { url: req.url, headers: new Headers(req.raw.headers) };
    request.headers.delete("authorization");
  }
  try {
    await access.authorize(request, env.ip, "admin", "hub");
  } catch (error) {
    const known = hasKey ? httpError(error) : undefined;
    if (known?.status !== 401) throw error;
    const problem = key === undefined ? "missing" : "wrong";
    throw new PlugboardError("unauthorized", `X-API-Key is ${problem}`, { cause: error });
  }
}

function target(name: keyof Targets, field: string, value: unknown): Targets {
  if (value === undefined || value === null || value === "") return {};
  if (typeof value !== "string") throw new PlugboardError("bad_request", `${field} must be a string`);
  return { [name]: value };
}

function summary({ delivered, targets }: SendReport): string {
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
  if (isRecord(body)) return body;
  throw new PlugboardError("bad_request", "The body must be a JSON object");
}

const INTERNAL = { status: 500, code: "internal", message: "Internal server error", headers: {} };

/** Returns the response to a failed call, in the hub's format. */
function errorResponse(error: unknown, { failed }: ApiParts): Response {
  const known = httpError(error);
  if (known === undefined) failed(error);
  const { status, code, message, headers } = known ?? INTERNAL;
  return Response.json({ status: "error", code, message }, { status, headers });
}
