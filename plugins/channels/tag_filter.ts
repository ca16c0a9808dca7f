/**
 * Tag filters: which publications a subscriber wants, by their tags.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import { compareDecimals, parseDecimal } from "./decimals.ts";
import type { Tags } from "./publications.ts";

/**
 * A condition on the tags of a publication, as clients of Centrifuge send it: it compares one tag, or with `op` combines
 * other conditions.
 */
export interface TagFilter {
  /** Combines `nodes`: all of them (`and`), any of them (`or`), or the opposite of one (`not`). Empty for a comparison. */
  readonly op?: string;
  /** The tag's name. */
  readonly key?: string;
  /**
   * How the tag is compared: `eq`, `neq`, `in`, `nin`, `ex` and `nex` (it exists or not), `sw`, `ew` and `ct` (it starts
   * with, ends with or contains a text), or `lt`, `lte`, `gt` and `gte` (as decimal numbers).
   */
  readonly cmp?: string;
  /** What the tag is compared with. */
  readonly val?: string;
  /** The list of `in` and `nin`. */
  readonly vals?: readonly string[];
  /** The conditions to combine. */
  readonly nodes?: readonly TagFilter[];
}

/** A filter whose types were checked, with all fields. */
type FilterNode = Required<Omit<TagFilter, "nodes">> & { readonly nodes: readonly FilterNode[] };

/** The bounds of a filter: levels, conditions, and characters of all texts together. */
const MAX_DEPTH = 8;
const MAX_NODES = 32;
const MAX_CHARS = 2_048;

type Condition = (tags: Tags) => boolean;

const NO_TAGS: Tags = {};

/** A filter that was checked. */
export class CompiledFilter {
  /** The same for equal filters. */
  readonly text: string;
  readonly #condition: Condition;

  /** Throws `bad_request` if the filter is invalid or too large. */
  constructor(filter: unknown) {
    const node = readNode(filter, MAX_DEPTH, { nodes: MAX_NODES, chars: MAX_CHARS });
    this.text = JSON.stringify(node);
    this.#condition = conditionOf(node);
  }

  /** Whether a publication with these tags is sent. */
  matches(tags: Tags = NO_TAGS): boolean {
    return this.#condition(tags);
  }
}

/** How much more a filter may have. */
interface Rest {
  nodes: number;
  chars: number;
}

function readNode(value: unknown, depth: number, rest: Rest): FilterNode {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("a node is no object");
  }
  if (depth === 0 || --rest.nodes < 0) throw invalid("it has too many nodes");
  const fields = value as Readonly<Record<string, unknown>>;
  const [op, key, cmp, val] = ["op", "key", "cmp", "val"].map((name) => readText(fields[name], rest));
  return {
    op: op!,
    key: key!,
    cmp: cmp!,
    val: val!,
    vals: readList(fields["vals"]).map((each) => readText(each, rest)),
    nodes: readList(fields["nodes"]).map((each) => readNode(each, depth - 1, rest)),
  };
}

function readText(value: unknown, rest: Rest): string {
  const text = value ?? "";
  if (typeof text !== "string") throw invalid("a value is no text");
  rest.chars -= text.length + 1; // A list can have many that are empty.
  if (rest.chars < 0) throw invalid("it is too long");
  return text;
}

function readList(value: unknown): readonly unknown[] {
  const list = value ?? [];
  if (!Array.isArray(list)) throw invalid("a list is expected");
  return list;
}

function conditionOf({ op, nodes, ...leaf }: FilterNode): Condition {
  const conditions = nodes.map(conditionOf);
  const [first] = conditions;
  switch (op) {
    case "":
      return comparison(leaf);
    case "and":
    case "or":
      if (first === undefined) throw invalid(`"${op}" has no nodes`);
      return op === "and"
        ? (tags) => conditions.every((condition) => condition(tags))
        : (tags) => conditions.some((condition) => condition(tags));
    case "not":
      if (first === undefined || conditions.length > 1) throw invalid('"not" has other than one node');
      return (tags) => !first(tags);
    default:
      throw invalid(`"${op}" is no op`);
  }
}

/** A tag that is missing has the empty text. */
function comparison({ key, cmp, val, vals }: Omit<FilterNode, "op" | "nodes">): Condition {
  const exists = (tags: Tags) => Object.hasOwn(tags, key);
  const tag = (tags: Tags) => exists(tags) ? tags[key]! : "";
  const [hasVal, hasVals] = [val !== "", vals.length > 0];
  const existence = cmp === "ex" || cmp === "nex";
  const membership = cmp === "in" || cmp === "nin";
  if (key === "" && !existence) throw invalid("a key is missing");
  if (hasVal === (existence || membership) || hasVals !== membership) {
    throw invalid(`the values do not suit the comparison "${cmp}"`);
  }
  const list = new Set(vals);
  const compared = (holds: (order: number) => boolean): Condition => {
    const limit = parseDecimal(val);
    return (tags) => {
      const number = parseDecimal(tag(tags));
      return limit !== undefined && number !== undefined && holds(compareDecimals(number, limit));
    };
  };
  switch (cmp) {
    case "eq":
      return (tags) => tag(tags) === val;
    case "neq":
      return (tags) => tag(tags) !== val;
    case "in":
      return (tags) => list.has(tag(tags));
    case "nin":
      return (tags) => !list.has(tag(tags));
    case "ex":
      return exists;
    case "nex":
      return (tags) => !exists(tags);
    case "sw":
      return (tags) => tag(tags).startsWith(val);
    case "ew":
      return (tags) => tag(tags).endsWith(val);
    case "ct":
      return (tags) => tag(tags).includes(val);
    case "lt":
      return compared((order) => order < 0);
    case "lte":
      return compared((order) => order <= 0);
    case "gt":
      return compared((order) => order > 0);
    case "gte":
      return compared((order) => order >= 0);
    default:
      throw invalid(`"${cmp}" is no comparison`);
  }
}

function invalid(reason: string): PlugboardError {
  return new PlugboardError("bad_request", `Invalid tags filter: ${reason}`);
}
