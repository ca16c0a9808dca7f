/**
 * Regular expressions for common JSON texts of messages and stored parts: strings without escape sequences only.
 * Matching is several times faster than parsing and validating; other texts are parsed.
 *
 * @module
 */

const ID = String.raw`"[^"\\\x00-\x1f]*"`;
const THING = String
  .raw`(?:"(?:\uFFFC|[^"\\\x00-\x1f\uFFFC\uFFFD][^"\\\x00-\x1f]*)?"|-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?` +
  `|true|false|null)`;
const HLC = "[-0-9A-Z_a-z]{16}";
const CELL = String.raw`${ID}:\[${THING},"${HLC}"\]`;

/** A message that changes one cell. The group is its clock. */
export const ONE_CELL = new RegExp(
  String.raw`^\[${ID},3,\[\[\{${ID}:\[\{${ID}:\[\{${ID}:\[${THING},"(${HLC})"\]\}\]\}\]\}\],\[\{\}\],1\]\]$`,
);

/** The stamp of a row. */
export const ROW_STAMP = new RegExp(String.raw`^\[\{(?:${CELL}(?:,${CELL})*)?\}(?:,"(?:${HLC})?")?\]$`);

/** For longer texts, the cost of parsing does not matter. */
export const MAX_MATCHED_CHARS = 4_096;
