import { PlugboardError } from "../../../core/mod.ts";
import { Payload } from "../../shared/payload.ts";
import { isRecord } from "../../shared/records.ts";

/** A message of the hub, as its sender gives it. */
export interface HubMessage {
  /** What it is: `notification`, `update`, `announcement` … */
  readonly type: string;
  /** Any JSON value, or a `Payload`. @default {{}} */
  readonly payload?: unknown;
  /** ISO 8601. @default {now} */
  readonly timestamp?: string;
}

/** A message as clients get it. */
export interface SentMessage extends Required<HubMessage> {
  /** Identifies the message. Kept messages have it, because they may arrive twice. */
  readonly id?: string;
}

/** Validates a message and adds the defaults; throws `bad_request`. Unknown fields are removed. */
export function complete(message: unknown, now: number): SentMessage {
  if (!isRecord(message)) throw bad("a message must be an object with type, payload and timestamp");
  const { type, payload = {}, timestamp = new Date(now).toISOString() } = message;
  if (typeof type !== "string" || type === "") throw bad("a message's type must be a non-empty string");
  if (typeof timestamp !== "string" || Number.isNaN(Date.parse(timestamp))) {
    throw bad("a message's timestamp must be in ISO 8601, such as 2024-01-01T00:00:00Z");
  }
  return { type, payload, timestamp };
}

/** Returns a message as clients get it, with its payload as it was written. */
export function encoded({ type, payload, timestamp, id }: SentMessage): Payload {
  const start = `{"type":${JSON.stringify(type)},"payload":${Payload.of(payload).text}`;
  const end = id === undefined ? "}" : `,"id":"${id}"}`;
  return Payload.fromValidJson(`${start},"timestamp":${JSON.stringify(timestamp)}${end}`);
}

function bad(message: string): PlugboardError {
  return new PlugboardError("bad_request", message);
}
