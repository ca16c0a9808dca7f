import { exceedsBytes } from "../../core/mod.ts";

/** Maximum length of a path id in bytes. TinyBase has the same limit for its channels. */
export const MAX_PATH_BYTES = 1024;

/** A valid path id, or what is wrong with it. */
export type PathId = { readonly id: string } | { readonly problem: string };

/**
 * Returns the id of the path (the tenant) that a raw URL names: the part after the prefix, with its segments decoded, so
 * that every spelling of a path gives the same id. Nothing is normalized: ids that another URL parser could read
 * differently are refused.
 */
export function pathIdOf(url: string, prefix: string): PathId {
  const target = /^[^:/?#]+:\/\/[^/?#]*([^?]*)/.exec(url)?.[1] ?? "";
  const base = prefix.replace(/\/$/, "");
  if (target !== base && !target.startsWith(`${base}/`)) return { problem: `does not begin with ${prefix}` };
  const segments: string[] = [];
  for (const segment of target.slice(base.length + 1).split("/")) {
    try {
      segments.push(decodeURIComponent(segment));
    } catch {
      return { problem: "is not encoded properly" };
    }
  }
  if (segments.some((segment) => segment.includes("/"))) return { problem: "has an encoded slash" };
  return checkPathId(segments.join("/"));
}

/** Refuses ids that could be mistaken for others. */
export function checkPathId(id: string): PathId {
  if (id === "") return { id };
  const segments = id.split("/");
  if (segments.some((segment) => segment === "")) return { problem: "has an empty segment" };
  if (segments.some((segment) => segment === "." || segment === "..")) {
    return { problem: "has a dot segment" };
  }
  // deno-lint-ignore no-control-regex -- control characters are refused
  if (/[\x00-\x1f\x7f\\?#]/.test(id)) return { problem: "has a character that is not allowed" };
  if (!id.isWellFormed()) return { problem: "has an unpaired surrogate" };
  if (exceedsBytes(id, MAX_PATH_BYTES)) return { problem: `is longer than ${MAX_PATH_BYTES} bytes` };
  return { id };
}
