/**
 * The routes: authorize a request, read its body, run the method, answer.
 *
 * @module
 */

import type { Context } from "@hono/hono";
import {
  type App,
  httpError,
  PlugboardError,
  refusal,
  refusalFor,
  type RequestInfo,
} from "../../core/mod.ts";
import type { Access } from "../auth.ts";
import { type BodyLimits, readText } from "../shared/body.ts";
import { memberText, valueTexts } from "../shared/json_text.ts";
import { isRecord } from "../shared/records.ts";
import { inSlices } from "../shared/slices.ts";
import { answerTo, type CommandParts } from "./batch.ts";
import { isFixed, permit, RequestRefused, run } from "./calls.ts";
import { apiError, internalError, statusOf } from "./errors.ts";
import type { Method } from "./types.ts";

/** What the routes need. */
export interface RouteParts extends CommandParts {
  readonly path: string;
  readonly access: Pick<Access, "authorizeBackend">;
  readonly limits: BodyLimits;
}

/** A request with the caller's address. */
type Request = Context<{ Bindings: RequestInfo }>;

const JSON_HEADERS = { "content-type": "application/json" };

/** Adds a route for each method, and one for the older form with commands. */
export function addRoutes(app: App, parts: RouteParts): void {
  for (const method of parts.methods.values()) {
    app.post(`${parts.path}/${method.name}`, (c) => answer(c, method, parts));
  }
  app.post(parts.path, (c) => answerCommands(c, parts));
}

async function answer(c: Request, method: Method, parts: RouteParts): Promise<Response> {
  try {
    const identity = await parts.access.authorizeBackend(c.req.raw, c.env.ip);
    if (isFixed(method.permission)) permit(identity, method.permission);
    const text = await readText(c.req.raw, parts.limits);
    const params = parsed(text);
    try {
      const result = await run(method, params, { identity, text });
      // Only a batch has no `result`.
      return json(method.name === "batch" ? result : `{"result":${result}}`);
    } catch (error) {
      if (error instanceof RequestRefused) throw error;
      return method.compatible
        ? compatibleFailure(c, method, error, parts)
        : ownFailure(method, error, parts);
    }
  } catch (error) {
    return refusalFor(error);
  }
}

/** Answers with Centrifugo's numbers. */
function compatibleFailure(c: Request, method: Method, error: unknown, { failed }: RouteParts): Response {
  const known = apiError(error);
  if (known === undefined) failed(method.name, error);
  const shown = known ?? internalError;
  return c.req.header("x-centrifugo-error-mode") === "transport"
    ? json(JSON.stringify(shown), statusOf(shown))
    : json(`{"error":${JSON.stringify(shown)}}`);
}

/** Answers with a status and the reason. */
function ownFailure({ name }: Method, error: unknown, { failed }: RouteParts): Response {
  if (httpError(error) !== undefined) return refusalFor(error);
  if (error instanceof PlugboardError && apiError(error) !== undefined) {
    return refusal(400, error.code, error.message);
  }
  failed(name, error);
  return refusal(500, "internal", "Internal server error");
}

/** Answers the older form: commands `{ id, method, params }`, one after the other, with a line for each. */
async function answerCommands(c: Request, parts: RouteParts): Promise<Response> {
  try {
    const identity = await parts.access.authorizeBackend(c.req.raw, c.env.ip);
    const text = await readText(c.req.raw, parts.limits);
    const commands = Array.from(valueTexts(text), (each) => ({ text: each, command: commandIn(each) }));
    if (commands.length === 0) throw new RequestRefused("bad_request", "The body must have a command");
    const lines = await inSlices(commands, async ({ text, command: { id, method, params } }) => {
      const call = { identity, text: memberText(text, "params") ?? "{}" };
      const answer = await answerTo(method, params, call, parts);
      const result = "error" in answer
        ? `"error":${JSON.stringify(answer.error)}`
        : `"result":${answer.result}`;
      return `{${id > 0 ? `"id":${id},` : ""}${result}}`;
    });
    return json(lines.join("\n"));
  } catch (error) {
    return refusalFor(error);
  }
}

/** The methods of the older form by their numbers. */
const NUMBERED = [
  ...["publish", "broadcast", "unsubscribe", "disconnect", "presence", "presence_stats", "history"],
  ...["history_remove", "channels", "info", "rpc", "subscribe", "refresh"],
];

function commandIn(text: string): { id: number; method: string; params: unknown } {
  const command = parsed(text);
  if (!isRecord(command)) throw new RequestRefused("bad_request", "A command must be an object");
  const { id = 0, method = 0, params } = command;
  const name = typeof method === "number" ? NUMBERED[method] ?? "" : method;
  if (typeof id !== "number" || !Number.isInteger(id) || typeof name !== "string") {
    throw new RequestRefused("bad_request", "A command must be { id, method, params }");
  }
  return { id, method: name.toLowerCase(), params: params ?? {} };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestRefused("bad_request", "The body must be JSON");
  }
}

function json(text: string, status = 200): Response {
  return new Response(text, { status, headers: JSON_HEADERS });
}
