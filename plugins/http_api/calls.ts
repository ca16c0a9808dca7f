/**
 * Calls of methods: every request, part of a batch and command of the older form runs through here.
 *
 * @module
 */

import { type MaybePromise, PlugboardError } from "../../core/mod.ts";
import type { Identity } from "../shared/identity.ts";
import { badRequest } from "./errors.ts";
import { problemIn, sentenceOf } from "./schema.ts";
import { type Call, type Method, needOf } from "./types.ts";

/** Thrown for a request that is refused by its HTTP status: its parameters cannot be decoded, or a permission is missing. */
export class RequestRefused extends PlugboardError {}

/** Checks the parameters and the permission, and runs a method. */
export function run(method: Method, params: unknown, call: Call): MaybePromise<string> {
  const problem = problemIn(method.params, params);
  if (problem !== undefined) {
    throw problem.wrongType
      ? new RequestRefused("bad_request", sentenceOf(problem))
      : badRequest(sentenceOf(problem));
  }
  const given = params as Readonly<Record<string, unknown>>;
  if (method.permission !== undefined) permit(call.identity, method.permission, given);
  return method.run(given, call);
}

/** Throws unless the caller has the permission for these parameters. */
export function permit(
  identity: Identity,
  permission: string,
  params: Readonly<Record<string, unknown>> = {},
): void {
  const [verb, resource] = needOf(permission, params);
  if (identity.can(verb, resource)) return;
  throw new RequestRefused("permission_denied", `This needs the permission ${verb}:${resource}`);
}

/** Whether the permission does not depend on the parameters. */
export function isFixed(permission: string | undefined): permission is string {
  return permission !== undefined && !permission.includes("{");
}
