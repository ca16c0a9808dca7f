/**
 * Reads a configuration file: JSON with comments, whose texts may refer to the environment.
 *
 * @module
 */

import stripJsonComments from "strip-json-comments";
import { messageOf, PlugboardError } from "../../../core/mod.ts";
import type { Path } from "./problems.ts";
import { pathText } from "./problems.ts";
import { hasType, schemaAt } from "./schema.ts";

/** Returns the value of a variable; throws if it may not be read. */
export type Environment = (name: string) => string | undefined;

/** A file's content. */
export interface FileContent {
  readonly value: unknown;
  /** The texts with references, as they are written, by their paths. */
  readonly references: ReadonlyMap<string, string>;
}

/** Parses a file. Throws a sentence with the line if it is not JSON, or with the path of a reference to nothing. */
export function parseFile(name: string, text: string, env: Environment): FileContent {
  const references = new Map<string, string>();
  const resolve = (value: unknown, path: Path): unknown => {
    if (typeof value === "string") {
      const resolved = resolveText(name, value, path, env);
      if (value.includes("${")) references.set(pathText(path), value);
      return resolved === value ? value : typed(resolved, value, path);
    }
    if (Array.isArray(value)) return value.map((each, i) => resolve(each, [...path, i]));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, resolve(each, [...path, key])]),
    );
  };
  return { value: resolve(parseJson(name, text), []), references };
}

function parseJson(name: string, text: string): unknown {
  try {
    // A byte order mark is not JSON; some editors write one.
    return JSON.parse(stripJsonComments(text.replace(/^\uFEFF/, ""), { trailingCommas: true }));
  } catch (error) {
    // The runtime quotes a part of the text, which may be a secret.
    const [, reason, place] =
      messageOf(error).match(/^(.*?)(?:,? \.{0,3}".*)?(?: in JSON)?( at position .*)?$/s) ?? [];
    const where = place?.match(/line (\d+) column (\d+)/);
    const at = where === undefined || where === null ? "" : `, in line ${where[1]}, column ${where[2]}`;
    throw new PlugboardError(
      "bad_setting",
      `${name} is not valid JSON${at}: ${reason?.replace(/ '.*'.*/s, "")}`,
    );
  }
}

/** Replaces `${NAME}`; `$${NAME}` stands for the text itself. */
function resolveText(file: string, text: string, path: Path, env: Environment): string {
  return text.replaceAll(/\$(\$?)\{([^}]*)\}/g, (whole, escaped, name) => {
    if (escaped !== "") return whole.slice(1);
    const fail = (why: string) => new PlugboardError("bad_setting", `${file}: ${pathText(path)}: ${why}`);
    if (!/^[A-Za-z_]\w*$/.test(name)) throw fail("a reference is written as ${NAME}");
    let value;
    try {
      value = env(name);
    } catch (error) {
      throw fail(messageOf(error));
    }
    if (value === undefined) throw fail(`the environment has no ${name}`);
    return value;
  });
}

/** A reference can stand for a number or a yes or no. */
function typed(resolved: string, written: string, path: Path): unknown {
  const of = schemaAt(path);
  if (of === undefined || !/^\$\{\w+\}$/.test(written)) return resolved;
  if (hasType(of, "integer") && /^\d{1,15}$/.test(resolved)) return Number(resolved);
  if (hasType(of, "boolean") && /^(true|false)$/.test(resolved)) return resolved === "true";
  return resolved;
}
