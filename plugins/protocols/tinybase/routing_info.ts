import { messageTypes, parseMessage, type SyncMessage } from "./messages.ts";

// Strings without escape sequences only. Other messages are parsed.
const ID = String.raw`"[^"\\\x00-\x1f]*"`;
const THING = String
  .raw`(?:"(?:\uFFFC|[^"\\\x00-\x1f\uFFFC\uFFFD][^"\\\x00-\x1f]*)?"|-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?` +
  `|true|false|null)`;
const HLC = "[-0-9A-Z_a-z]{16}";
const ONE_CELL = new RegExp(
  String.raw`^\[${ID},3,\[\[\{${ID}:\[\{${ID}:\[\{${ID}:\[${THING},"(${HLC})"\]\}\]\}\]\}\],\[\{\}\],1\]\]$`,
);

/** For longer messages, the cost of parsing does not matter. */
const MAX_CHARS = 4_096;

/**
 * Returns what is needed to route a message; `undefined` if it is invalid.
 *
 * Most messages change one cell. Matching those with a regular expression takes 0.15 µs, parsing and validating them
 * as JSON 1.8 µs: a third of what a relay spends on a message to one other client.
 */
export function routingInfoOf(
  text: string,
): Pick<SyncMessage, "type" | "latest" | "repaired"> | undefined {
  const match = text.length > MAX_CHARS ? null : ONE_CELL.exec(text);
  return match === null ? parseMessage(text) : { type: messageTypes.contentDiff, latest: match[1]! };
}
