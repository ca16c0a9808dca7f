/**
 * Schemas of requests: plain JSON Schema, which is also the documentation, and a check of the keywords in use. Nothing is
 * compiled, so that neither the start nor the first request waits for it.
 *
 * @module
 */

import { isRecord } from "../shared/records.ts";

/** A JSON Schema with the keywords that {@linkcode problemIn} knows, and those that only describe. */
export interface Schema {
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly type?: "string" | "integer" | "number" | "boolean" | "array" | "object";
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
}

/** The type of the values that a schema describes. */
export type ValueOf<S> = S extends { readonly type: "string" } ? string
  : S extends { readonly type: "integer" | "number" } ? number
  : S extends { readonly type: "boolean" } ? boolean
  : S extends { readonly type: "array"; readonly items: infer Item } ? readonly ValueOf<Item>[]
  : S extends { readonly properties: infer Members } ? ObjectOf<Members, S>
  : S extends { readonly additionalProperties: infer Value } ? Readonly<Record<string, ValueOf<Value>>>
  : unknown;

type ObjectOf<Members, S> =
  & { readonly [Name in keyof Members]?: ValueOf<Members[Name]> }
  & { readonly [Name in RequiredOf<S> & keyof Members]: ValueOf<Members[Name]> };

type RequiredOf<S> = S extends { readonly required: readonly (infer Name)[] } ? Name : never;

/** What is wrong with a value. */
export interface Problem {
  /** The path of the wrong field: `disconnect.code`, `channels[2]`. Empty for the value itself. */
  readonly field: string;
  /** A rule that completes "must …". */
  readonly rule: string;
  /** Whether the value has another type. A value that only breaks a rule can be decoded. */
  readonly wrongType: boolean;
}

/**
 * Finds the first problem. Unknown members are ignored. Members that are `null` count as missing and are deleted, except
 * where any value is allowed.
 */
export function problemIn(schema: Schema, value: unknown, field = ""): Problem | undefined {
  const { type } = schema;
  if (type !== undefined && !hasType(type, value)) {
    return { field, rule: `be ${NAMES[type]}`, wrongType: true };
  }
  const broken = brokenRule(schema, value);
  if (broken !== undefined) return { field, rule: broken, wrongType: false };
  if (Array.isArray(value) && schema.items !== undefined) return problemInItems(schema.items, value, field);
  if (type === "object") return problemInMembers(schema, value as Record<string, unknown>, field);
}

/** Returns the sentence about a problem. */
export function sentenceOf({ field, rule }: Problem): string {
  return `${field === "" ? "The body" : field} must ${rule}`;
}

const NAMES = {
  string: "a string",
  integer: "an integer",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
} as const;

function hasType(type: NonNullable<Schema["type"]>, value: unknown): boolean {
  switch (type) {
    case "integer":
      return Number.isInteger(value);
    case "number":
      return Number.isFinite(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return isRecord(value);
    case "string":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
  }
}

function brokenRule(schema: Schema, value: unknown): string | undefined {
  if (typeof value === "string") {
    const { minLength = 0, maxLength = Infinity, pattern } = schema;
    if (schema.enum !== undefined && !schema.enum.includes(value)) {
      return `be one of ${schema.enum.join(", ")}`;
    }
    if (value.length < minLength) {
      return minLength === 1 ? "not be empty" : `have ${minLength} characters or more`;
    }
    if (value.length > maxLength) return `have ${maxLength} characters or fewer`;
    if (pattern !== undefined && !new RegExp(pattern, "u").test(value)) return `match ${pattern}`;
  } else if (typeof value === "number") {
    const { minimum = -Infinity, maximum = Infinity } = schema;
    if (value < minimum) return `be ${minimum} or more`;
    if (value > maximum) return `be ${maximum} or less`;
  } else if (Array.isArray(value) && value.length < (schema.minItems ?? 0)) return "not be empty";
}

function problemInItems(schema: Schema, values: readonly unknown[], field: string): Problem | undefined {
  for (const [i, value] of values.entries()) {
    const problem = problemIn(schema, value);
    if (problem !== undefined) return { ...problem, field: join(`${field}[${i}]`, problem.field) };
  }
}

function problemInMembers(
  { properties = {}, required = [], additionalProperties }: Schema,
  object: Record<string, unknown>,
  field: string,
): Problem | undefined {
  for (const name in properties) {
    if (!Object.hasOwn(object, name)) continue;
    const schema = properties[name]!;
    if (object[name] === null && schema.type !== undefined) delete object[name];
    else {
      const problem = problemIn(schema, object[name]);
      if (problem !== undefined) return { ...problem, field: join(join(field, name), problem.field) };
    }
  }
  for (const name of required) {
    if (!Object.hasOwn(object, name)) return { field: join(field, name), rule: "be given", wrongType: false };
  }
  if (additionalProperties === undefined) return;
  for (const name in object) {
    if (Object.hasOwn(properties, name)) continue;
    const problem = problemIn(additionalProperties, object[name]);
    if (problem !== undefined) return { ...problem, field: join(join(field, name), problem.field) };
  }
}

function join(path: string, rest: string): string {
  return path === "" || rest === "" || rest.startsWith("[") ? path + rest : `${path}.${rest}`;
}
