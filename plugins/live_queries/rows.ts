/**
 * Checks that the rows of a query are as it declares them.
 *
 * @module
 */

import { type MaybePromise, messageOf, PlugboardError } from "../../core/mod.ts";
import { checked } from "../shared/contract.ts";
import type { Instance } from "./query.ts";

/** More rows would take too long. */
const MAX_ROWS = 100;

/** What was found for each instance: nothing, or the refusal. */
const verdicts = new WeakMap<Instance, MaybePromise<PlugboardError | undefined>>();

/** Throws, or rejects with, a `bad_request` if the first rows are not as declared. */
export function rowsOf(instance: Instance): MaybePromise<void> {
  if (instance.query.definition.rows === undefined) return;
  let verdict = verdicts.get(instance);
  if (verdict === undefined && !verdicts.has(instance)) verdicts.set(instance, verdict = verdictOf(instance));
  if (verdict instanceof Promise) return verdict.then(pass);
  return pass(verdict);
}

function pass(refusal: PlugboardError | undefined): void {
  if (refusal !== undefined) throw refusal;
}

function verdictOf(instance: Instance): MaybePromise<PlugboardError | undefined> {
  const { rows: check } = instance.query.definition;
  const pending: Promise<unknown>[] = [];
  const refusal = (error: unknown, row: number) =>
    new PlugboardError(
      "bad_request",
      `Row ${row} of "${instance.query.name}" is not as declared: ${messageOf(error)}`,
    );
  for (const [i, row] of instance.first(MAX_ROWS).entries()) {
    try {
      const result = checked(check!, row);
      if (result instanceof Promise) pending.push(result.catch((error) => Promise.reject(refusal(error, i))));
    } catch (error) {
      return refusal(error, i);
    }
  }
  if (pending.length > 0) return Promise.all(pending).then(() => undefined, (error: PlugboardError) => error);
}
