/**
 * Values that may be promises.
 *
 * @module
 */

export { attempt, chain } from "../../core/mod.ts";
