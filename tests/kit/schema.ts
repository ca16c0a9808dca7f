/**
 * Makes the JSON Schema of configuration files from the types and comments of their options.
 *
 *     deno task schema
 *
 * @module
 */

import { createGenerator } from "ts-json-schema-generator";
import { root } from "./example.ts";

/** The file that the schema is kept in. */
export const SCHEMA = new URL("plugins/servers/configured/schema.json", root);

/** A part of a JSON Schema. */
export interface Schema {
  [keyword: string]: unknown;
  type?: string | string[];
  properties?: Record<string, Schema>;
  anyOf?: Schema[];
}

/** Makes the schema. */
export function makeSchema(): Schema {
  const generator = createGenerator({
    path: new URL("settings.ts", SCHEMA).pathname,
    type: "Settings",
    skipTypeCheck: true,
    functions: "hide",
    extraTags: ["secret", "reference", "names"],
    expose: "none",
    topRef: false,
    additionalProperties: false,
  });
  const { definitions: _, required: __, ...schema } = generator.createSchema("Settings") as Schema;
  // The generator loses the pattern of a rate in `Partial<Limits>`.
  const { $schema: _$, definitions: _d, required: _r, ...limits } = generator.createSchema(
    "Limits",
  ) as Schema;
  const { properties } = schema as Schema;
  properties!.limits!.anyOf = properties!.limits!.anyOf!.map((each) =>
    each.type === "object" ? limits : each
  );
  return shared({ ...finished(schema) as Schema, title: "Plugboard" });
}

/** Parts of this many characters are written once. */
const LONG = 500;

/** Moves what occurs several times to the definitions. */
function shared(schema: Schema): Schema {
  const seen = new Map<string, { name: string; count: number }>();
  const visit = (
    value: unknown,
    path: readonly string[],
    each: (part: object, path: readonly string[]) => unknown,
  ): unknown => {
    if (typeof value !== "object" || value === null) return value;
    const found = each(value, path);
    if (found !== undefined) return found;
    if (Array.isArray(value)) return value.map((part, i) => visit(part, [...path, String(i)], each));
    const parts = Object.entries(value).map(([key, part]) => [key, visit(part, [...path, key], each)]);
    return Object.fromEntries(parts);
  };
  const keyOf = (part: object) => {
    const { description: _, default: __, ...rest } = part as Schema;
    const key = rest.type === "object" && rest.properties !== undefined ? JSON.stringify(rest) : "";
    return key.length < LONG ? undefined : key;
  };
  visit(schema, [], (part, path) => {
    const key = keyOf(part);
    if (key === undefined) return;
    const name = path.filter((step) => !/^(properties|items|anyOf|additionalProperties|\d+)$/.test(step))
      .join(".");
    seen.getOrInsertComputed(key, () => ({ name, count: 0 })).count++;
  });
  const definitions: Record<string, unknown> = {};
  const whole = visit(schema, [], (part) => {
    const key = keyOf(part);
    const found = key === undefined ? undefined : seen.get(key);
    if (key === undefined || found === undefined || found.count < 2) return;
    definitions[found.name] = JSON.parse(key);
    const { description } = part as Schema;
    const $ref = `#/definitions/${found.name}`;
    return description === undefined ? { $ref } : { allOf: [{ $ref }], description };
  });
  return { ...whole as Schema, definitions };
}

/** What stands in the environment for a number or a yes or no. */
const REFERENCE = "^\\$\\{\\w+\\}$";

/** Completes what comments and types say. */
function finished(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(finished);
  if (typeof value !== "object" || value === null) return value;
  const schema: Schema = { ...value };
  for (const [keyword, part] of Object.entries(schema)) {
    if (keyword === "properties") {
      const entries = Object.entries(part as Record<string, unknown>);
      schema.properties = Object.fromEntries(entries.map(([name, each]) => [name, finished(each) as Schema]));
    } else if (!["default", "examples", "enum", "required"].includes(keyword)) {
      schema[keyword] = finished(part);
    }
  }
  describe(schema);
  const { secret, names, ...rest } = mergeWords(schema);
  if (names !== undefined) rest.propertyNames = { pattern: names };
  const known = secret === true ? { ...rest, writeOnly: true } : rest;
  if (known.type === "number") {
    return { minimum: 1, ...known, type: ["integer", "string"], pattern: REFERENCE };
  }
  return known.type === "boolean" ? { ...known, type: ["boolean", "string"], pattern: REFERENCE } : known;
}

/** Parses `@default {100} a hundred`, and removes what only programmers read. */
function describe(schema: Schema): void {
  const text = String(schema.description ?? "").replaceAll(/\{\s*@linkcode\s+(\w+)\s*\}/g, "`$1`")
    .replaceAll(/\s+/g, " ").replace(/^Construct a type with .*|^Make all properties .*|^From T, .*/, "")
    .trim();
  const [, given, more] = String(schema.default ?? "").match(/^\{(.*)\}\s*(.*)$/s) ?? [];
  delete schema.default;
  let note = "";
  if (given !== undefined) {
    try {
      schema.default = JSON.parse(given);
      if (more) note = ` (default: ${more})`;
    } catch {
      note = ` (default: ${given})`;
    }
  }
  delete schema.description;
  if (text + note !== "") schema.description = (text + note).trim();
}

/** Several words of a union become one list. */
function mergeWords(schema: Schema): Schema {
  const { anyOf, ...rest } = schema;
  if (anyOf === undefined) return schema;
  const words = anyOf.filter((each) => "const" in each).map((each) => each.const);
  if (words.length === 0) return schema;
  return { ...rest, anyOf: [{ type: "string", enum: words }, ...anyOf.filter((each) => !("const" in each))] };
}

/** The schema as text, with short lists on one line. */
function textOf(schema: Schema): string {
  const text = JSON.stringify(schema, null, 2);
  return text.replaceAll(
    /\[\s+([^[\]{}]{1,80})\s+\]/g,
    (_, list) => `[${list.replaceAll(/\s*\n\s*/g, " ")}]`,
  ) + "\n";
}

if (import.meta.main) {
  await Deno.writeTextFile(SCHEMA, textOf(makeSchema()));
  // Not before: it reads the schema.
  const { TABLES, withTables } = await import("./option_table.ts");
  await Deno.writeTextFile(TABLES, withTables(await Deno.readTextFile(TABLES)));
}
