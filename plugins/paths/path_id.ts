/**
 * Path ids: which tenant a URL names.
 *
 * @module
 */

/** Bytes of a path's id; TinyBase sets the same limit on its channels. */
export const MAX_PATH_BYTES = 1024;

/** A path's id, or what is wrong with it. */
export type PathId = { readonly id: string } | { readonly problem: string };

/**
 * The id in a raw URL: what follows the prefix, with its segments decoded, so that every spelling of a path is the
 * same tenant. Nothing is normalised: what another reader of the URL could take for another path is refused.
 */
export function pathIdOf(url: string, prefix: string): PathId {
  const target = /^[^:/?#]+:\/\/[^/?#]*([^?]*)/.exec(url)?.[1] ?? "";
  const base = prefix.replace(/\/$/, "");
  if (target !== base && !target.startsWith(`${base}/`)) return { problem: `does not begin with ${prefix}` };
  const raw = target.slice(base.length + 1);
  const segments: string[] = [];
  for (const segment of raw.split("/")) {
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
  // deno-lint-ignore no-control-regex -- exactly those are to be refused
  if (/[\x00-\x1f\x7f\\?#]/.test(id)) return { problem: "has a character that no path may have" };
  if (!id.isWellFormed()) return { problem: "has half a character" };
  if (new TextEncoder().encode(id).length > MAX_PATH_BYTES) {
    return { problem: `is longer than ${MAX_PATH_BYTES} bytes` };
  }
  return { id };
}
