/**
 * The contract between server and clients: checks of what clients send, and the types that follow from them.
 *
 * A check is a function, or a schema of any library that implements Standard Schema (https://standardschema.dev), for
 * example zod, valibot or arktype.
 *
 * @module
 */

import { chain, type MaybePromise, PlugboardError } from "../../core/mod.ts";

/** A schema of any library. `Input` is what clients send, `Output` what the server gets. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The interface that all these libraries share. */
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => MaybePromise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What a schema finds: a value, or issues. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** What is wrong with a value, and where. */
export interface SchemaIssue {
  /** For people. */
  readonly message: string;
  /** The names that lead to the place. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Returns a value as `Output`, or refuses it. A function refuses by throwing. */
export type Check<Output = unknown> =
  | ((value: unknown) => MaybePromise<Output>)
  | StandardSchema<unknown, Output>;

/** What a client may send. */
export type InputOf<C> = C extends StandardSchema ? NonNullable<C["~standard"]["types"]>["input"]
  : C extends (value: unknown) => infer Output ? Awaited<Output>
  : unknown;

/** What the server gets. */
export type OutputOf<C> = C extends StandardSchema ? NonNullable<C["~standard"]["types"]>["output"]
  : C extends (value: unknown) => infer Output ? Awaited<Output>
  : unknown;

/** A declaration with the types that a client needs. They exist for the compiler alone. */
export interface Typed<Input, Output> {
  /** Never has a value. */
  readonly "~types"?: { readonly input: Input; readonly output: Output };
}

/** Whether a check is a schema. Schemas of some libraries are functions too. */
export function isSchema(check: object): check is StandardSchema {
  return "~standard" in check;
}

/** Returns a schema as JSON Schema, if its library can; see https://standardschema.dev/json-schema. */
export function jsonSchemaOf(check: Check | undefined): unknown {
  if (check === undefined || !isSchema(check)) return undefined;
  const { jsonSchema } = check["~standard"] as { readonly jsonSchema?: { input?(options: object): unknown } };
  try {
    return jsonSchema?.input?.({ target: "draft-2020-12" });
  } catch {
    return undefined; // It has types that JSON Schema cannot express.
  }
}

/** Checks a value. Throws, or rejects with, a `bad_request` that names the place and the reason. */
export function checked<Output>(check: Check<Output>, value: unknown): MaybePromise<Output> {
  if (isSchema(check)) {
    if (hasMoreThan(MAX_VALUES, value)) {
      throw new PlugboardError("bad_request", `More than ${MAX_VALUES} values; a schema can check no more`);
    }
    return chain(check["~standard"].validate(value), valueOf);
  }
  try {
    const result = check(value);
    return result instanceof Promise ? result.catch(refuse) : result;
  } catch (error) {
    return refuse(error);
  }
}

/** Returns the places and reasons, as a sentence of limited length. */
export function reasonOf(issues: readonly SchemaIssue[]): string {
  const reasons = issues.slice(0, MAX_ISSUES).map(({ message, path = [] }) => {
    const place = placeOf(path);
    return place === "" || message.startsWith(place) ? message : `${place}: ${message}`;
  });
  const more = issues.length - reasons.length;
  return `${reasons.join("; ").slice(0, MAX_CHARS)}${more > 0 ? ` (and ${more} more)` : ""}` || "Not valid";
}

/** Defines each entry. Returns the function that removes them all; if one is refused, none remains. */
export function defineEach<Definition>(
  definitions: Readonly<Record<string, Definition>>,
  define: (name: string, definition: Definition) => () => void,
): () => void {
  const removals: (() => void)[] = [];
  const removeAll = () => {
    for (const remove of removals.splice(0)) remove();
  };
  try {
    for (const [name, definition] of Object.entries(definitions)) removals.push(define(name, definition));
  } catch (error) {
    removeAll();
    throw error;
  }
  return removeAll;
}

/**
 * A schema examines every value, and it cannot be interrupted. For 32,000 wrong ones, which fit into a message, zod takes
 * 190 ms and arktype 770 ms.
 */
const MAX_VALUES = 3_000;

/** Whether a value of JSON contains more values. */
function hasMoreThan(max: number, value: unknown): boolean {
  const pending = [value];
  let found = 0;
  for (; found <= max && pending.length > 0; found++) {
    const each = pending.pop();
    if (typeof each !== "object" || each === null) continue;
    const inner = Array.isArray(each) ? each : Object.values(each);
    if (inner.length > max) return true;
    pending.push(...inner);
  }
  return found > max;
}

/** Limits of the sentence: a client can send a long list of wrong values. */
const MAX_ISSUES = 3;
const MAX_CHARS = 500;

function valueOf<Output>(result: SchemaResult<Output>): Output {
  if (result.issues === undefined) return result.value;
  throw new PlugboardError("bad_request", reasonOf(result.issues));
}

function refuse(error: unknown): never {
  if (error instanceof PlugboardError) throw error;
  throw new PlugboardError("bad_request", error instanceof Error ? error.message : "Bad arguments");
}

/** `items[0].name`. */
function placeOf(path: NonNullable<SchemaIssue["path"]>): string {
  return path.reduce<string>((place, segment) => {
    const name = typeof segment === "object" ? segment.key : segment;
    if (typeof name === "number") return `${place}[${name}]`;
    return place === "" ? String(name) : `${place}.${String(name)}`;
  }, "");
}
