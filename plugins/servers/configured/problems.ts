/**
 * Checks a configuration, and says in sentences what is wrong with it.
 *
 * @module
 */

import { Ajv, type ErrorObject } from "ajv/dist/ajv.js";
import { suggestion } from "../../../core/mod.ts";
import { hasType, isSecret, type Schema, schema } from "./schema.ts";

/** A path within a file. */
export type Path = readonly (string | number)[];

/** What is wrong with a value. */
export interface Problem {
  readonly path: Path;
  /** `must be true or false, got "maybe"`. */
  readonly sentence: string;
}

let validator: ReturnType<Ajv["compile"]> | undefined;

/** Checks a configuration. `hidden` values are not shown, besides secrets. */
export function problemsOf(value: unknown, hidden: (path: Path) => boolean = () => false): Problem[] {
  validator ??= new Ajv({ allErrors: true, verbose: true, strict: false }).compile(schema);
  if (validator(value)) return [];
  const errors = validator.errors!.filter(({ propertyName }) => propertyName === undefined);
  const found = relevant(errors).map((error): Problem => {
    const path = pathOf(error, value);
    return { path, sentence: sentenceOf(error, isSecret(path) || hidden(path)) };
  });
  const unique = new Map(found.map((problem) => [JSON.stringify(problem), problem]));
  return [...unique.values()];
}

/** Writes a path as it is read: `namespaces.chat.historySize`. */
export function pathText(path: Path): string {
  return path.map((step) => /^[\w$-]+$/.test(String(step)) ? String(step) : JSON.stringify(step)).join(".");
}

/** Keeps, of each union, what is wrong with the alternative that was probably meant. */
function relevant(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const unions = errors.filter(({ keyword }) => keyword === "anyOf");
  const union = unions.sort((a, b) => a.schemaPath.length - b.schemaPath.length)[0];
  if (union === undefined) return errors;
  const inside = errors.filter((error) => isInside(error, union));
  const outside = errors.filter((error) => error !== union && !isInside(error, union));
  const alternatives = (union.schema as readonly Schema[]).map((_, i) =>
    inside.filter(({ schemaPath }) => schemaPath.startsWith(`${union.schemaPath}/${i}/`))
  );
  const meant = alternatives.find((each) =>
    each.length > 0 &&
    each.every(({ instancePath, keyword }) =>
      instancePath !== union.instancePath || !["type", "enum", "pattern"].includes(keyword)
    )
  );
  const kept = meant === undefined ? [{ ...union, keyword: "none" }] : relevant(meant);
  return [...relevant(outside), ...kept];
}

function isInside(error: ErrorObject, union: ErrorObject): boolean {
  return error.schemaPath.startsWith(`${union.schemaPath}/`) &&
    (error.instancePath === union.instancePath || error.instancePath.startsWith(`${union.instancePath}/`));
}

/** The steps to the wrong value. Steps into lists are numbers. */
function pathOf({ keyword, instancePath, params }: ErrorObject, root: unknown): Path {
  const path: (string | number)[] = [];
  let value = root;
  for (const part of instancePath.split("/").slice(1)) {
    const step = part.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(value) ? Number(step) : step);
    value = (value as Record<string, unknown>)[step];
  }
  if (keyword === "additionalProperties") path.push(params.additionalProperty);
  if (keyword === "required") path.push(params.missingProperty);
  if (keyword === "propertyNames") path.push(params.propertyName);
  return path;
}

function sentenceOf({ keyword, params, parentSchema, data }: ErrorObject, hide: boolean): string {
  const owner = parentSchema as Schema;
  if (keyword === "required") return "is missing";
  if (keyword === "propertyNames") {
    return `has an invalid name; it must match ${owner.propertyNames?.pattern}`;
  }
  if (keyword === "additionalProperties") {
    const known = Object.keys(owner.properties ?? {});
    const nearest = suggestion(params.additionalProperty, known);
    return `is unknown; ${
      nearest === undefined ? `known are ${known.join(", ")}` : `did you mean ${nearest}?`
    }`;
  }
  const got = hide || typeof data === "object" && data !== null ? "" : `, got ${JSON.stringify(data)}`;
  const words = [owner, ...owner.anyOf ?? []].flatMap((each) => each.enum ?? []).map(String);
  const nearest = typeof data === "string" && !hide ? suggestion(data, words) : undefined;
  const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  return `must be ${ruleOf(owner)}${got}${hint}`;
}

/** Says what a value must be. */
export function ruleOf(of: Schema): string {
  const { anyOf, enum: words, examples = [], minimum = 0, maximum } = of;
  if (anyOf !== undefined) return anyOf.map(ruleOf).join(", or ");
  if (words !== undefined) return words.length === 1 ? String(words[0]) : `one of ${words.join(", ")}`;
  if (hasType(of, "integer")) {
    const from = minimum > 0 ? ` from ${minimum}` : "";
    return `a whole number${from}${maximum === undefined ? "" : ` up to ${maximum}`}`;
  }
  if (hasType(of, "boolean")) return "true or false";
  if (hasType(of, "array")) return "a list";
  if (hasType(of, "object")) return "an object";
  return examples.length === 0 ? "a text" : `a text such as ${examples.join(", ")}`;
}
