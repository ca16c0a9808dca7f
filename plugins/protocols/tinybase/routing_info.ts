import { messageTypes, parseMessage, type SyncMessage } from "./messages.ts";
import { MAX_MATCHED_CHARS, ONE_CELL } from "./patterns.ts";

/**
 * Returns what is needed to route a message; `undefined` if it is invalid.
 *
 * Most messages change one cell. Matching those with a regular expression takes 0.15 µs, parsing and validating them
 * as JSON 1.8 µs: a third of what a relay spends on a message to one other client.
 */
export function routingInfoOf(
  text: string,
): Pick<SyncMessage, "type" | "latest" | "repaired"> | undefined {
  const match = text.length > MAX_MATCHED_CHARS ? null : ONE_CELL.exec(text);
  return match === null ? parseMessage(text) : { type: messageTypes.contentDiff, latest: match[1]! };
}
