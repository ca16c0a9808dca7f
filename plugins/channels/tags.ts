import { PlugboardError } from "../../core/mod.ts";

/** Throws `bad_request` unless all tags are texts: they are stored, sent and compared as such. */
export function checkTags(tags: unknown): void {
  const valid = typeof tags === "object" && tags !== null && !Array.isArray(tags) &&
    Object.values(tags).every((value) => typeof value === "string");
  if (!valid) throw new PlugboardError("bad_request", "Tags must be an object whose values are texts");
}
