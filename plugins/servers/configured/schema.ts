/**
 * The JSON Schema of configuration files, as the program uses it: made by `deno task schema` from `settings.ts`.
 *
 * @module
 */

import source from "./schema.json" with { type: "json" };

/** A part of the schema. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly propertyNames?: { readonly pattern: string };
  readonly anyOf?: readonly Schema[];
  /** The value is secret. */
  readonly writeOnly?: boolean;
  /** The value must come from the environment. */
  readonly reference?: boolean;
}

/** The schema as it is served. */
export const schemaText = JSON.stringify(source);

/** The schema without references to its definitions. */
export const schema: Schema & { readonly properties: Readonly<Record<string, Schema>> } = whole();

function whole() {
  const { definitions, ...rest } = source;
  const expand = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(expand);
    if (typeof value !== "object" || value === null) return value;
    const { $ref, allOf, ...others } = value as { $ref?: string; allOf?: readonly object[] };
    const parts = Object.fromEntries(Object.entries(others).map(([key, part]) => [key, expand(part)]));
    const named = $ref?.split("/").at(-1);
    const referred = named === undefined ? {} : expand(definitions[named as keyof typeof definitions]);
    return Object.assign({}, referred, ...(allOf ?? []).map(expand), parts);
  };
  // deno-lint-ignore no-explicit-any -- what the generator wrote
  return expand(rest) as any;
}

/** Returns the schema of a value within a file; `undefined` for an unknown path. */
export function schemaAt(path: readonly (string | number)[], from: Schema = schema): Schema | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return from;
  const { properties, additionalProperties, items, anyOf = [] } = from;
  const own = typeof step === "number"
    ? items
    : Object.hasOwn(properties ?? {}, step)
    ? properties![step]
    : typeof additionalProperties === "object"
    ? additionalProperties
    : undefined;
  const found = own && schemaAt(rest, own);
  if (found !== undefined) return found;
  for (const each of anyOf) {
    const inner = schemaAt(path, each);
    if (inner !== undefined) return inner;
  }
}

/** Whether a value, or something that it is a part of, is secret. */
export function isSecret(path: readonly (string | number)[]): boolean {
  return path.some((_, i) => schemaAt(path.slice(0, i + 1))?.writeOnly === true);
}

/** Whether a type is among those of a schema. */
export function hasType({ type }: Schema, name: string): boolean {
  return [type ?? []].flat().includes(name);
}
