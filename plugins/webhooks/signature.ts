/**
 * Signatures by the convention of Standard Webhooks: HMAC-SHA256 of the id, the time and the body.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";

const PREFIX = "whsec_";
const MIN_BYTES = 24;

/** Returns the bytes of a secret; `undefined` if it has another form or is too short. */
export function secretBytes(secret: string): Uint8Array | undefined {
  if (!secret.startsWith(PREFIX)) return undefined;
  try {
    const bytes = Uint8Array.fromBase64(secret.slice(PREFIX.length));
    return bytes.length >= MIN_BYTES ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the headers that prove who sent a request, and when. `seconds` is the time since 1970. */
export function signatureHeaders(
  secrets: readonly Uint8Array[],
  id: string,
  seconds: number,
  body: Uint8Array,
): Record<string, string> {
  const signed = Buffer.concat([Buffer.from(`${id}.${seconds}.`), body]);
  const signatures = secrets.map((secret) =>
    `v1,${createHmac("sha256", secret).update(signed).digest("base64")}`
  );
  return {
    "webhook-id": id,
    "webhook-timestamp": String(seconds),
    "webhook-signature": signatures.join(" "),
  };
}
