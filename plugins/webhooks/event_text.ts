/**
 * Events as JSON texts.
 *
 * @module
 */

import { Payload } from "../shared/payload.ts";
import type { WebhookEvent } from "./types.ts";

/** Returns an event's text. Members that are `undefined` are left out; payloads are inserted as they are. */
export function eventText(
  type: WebhookEvent,
  time: number,
  members: Readonly<Record<string, unknown>>,
): string {
  let text = `{"id":"${crypto.randomUUID()}","type":"${type}","time_ms":${time}`;
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) continue;
    const binary = value instanceof Payload && value.json === undefined;
    const json = value instanceof Payload ? value.json ?? value.text : JSON.stringify(value);
    if (json !== undefined) text += `,"${binary ? `b64${name}` : name}":${json}`;
  }
  return `${text}}`;
}
