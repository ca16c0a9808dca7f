/**
 * Reads what tokens and backends say about subscriptions, in Centrifugo's format.
 *
 * @module
 */

import { isRecord } from "./records.ts";

/** What a client gets with a subscription. */
export interface SubscribeOptions {
  /** What other clients see, as JSON text. */
  readonly chanInfo?: string;
  /** Data for the client, as JSON text. */
  readonly data?: string;
  /** Whether the client can recover, even if it may not read the history. */
  readonly recoverable?: boolean;
  /** Whether the server detects gaps, even if the client may not read the history. */
  readonly positioned?: boolean;
  /** Whether the client receives joins and leaves, even if it may not list who is present. */
  readonly joinLeave?: boolean;
}

/** Makes the error for something that has another form. */
export type Wrong = (reason: string) => Error;

/** Reads the options of a subscription, except for its end. */
export function readGrant(about: Readonly<Record<string, unknown>>, wrong: Wrong): SubscribeOptions {
  const { override = {} } = about;
  if (!isRecord(override)) throw wrong("override must be an object");
  const forced = (name: string) => isRecord(override[name]) && override[name]["value"] === true;
  const chanInfo = readJson(about, "info", wrong);
  const data = readJson(about, "data", wrong);
  return {
    ...(chanInfo !== undefined && { chanInfo }),
    ...(data !== undefined && { data }),
    ...(forced("force_recovery") && { recoverable: true }),
    ...(forced("force_positioning") && { positioned: true }),
    ...(forced("force_push_join_leave") && { joinLeave: true }),
  };
}

/** Returns a member as JSON text: `name` has any JSON value, `b64name` has JSON text in base64. */
export function readJson(
  members: Readonly<Record<string, unknown>>,
  name: string,
  wrong: Wrong,
): string | undefined {
  if (members[name] !== undefined) return JSON.stringify(members[name]);
  const base64 = members[`b64${name}`];
  if (base64 === undefined) return undefined;
  try {
    const bytes = Uint8Array.fromBase64(base64 as string);
    return JSON.stringify(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch {
    throw wrong(`b64${name} must be JSON in base64; JSON clients cannot receive other bytes`);
  }
}
