/**
 * The fields of a publication in requests.
 *
 * @module
 */

import type { PublishOptions } from "../channels.ts";
import type { Identity } from "../shared/identity.ts";
import { memberText } from "../shared/json_text.ts";
import { Payload } from "../shared/payload.ts";
import { badRequest } from "./errors.ts";
import { base64, json } from "./fields.ts";
import type { Schema, ValueOf } from "./schema.ts";

/** What to publish, and how. */
export const PUBLICATION = {
  data: json("The payload. Numbers keep their digits"),
  b64data: base64("`data`"),
  skip_history: { type: "boolean", description: "Publishes to current subscribers only" },
  tags: {
    type: "object",
    additionalProperties: { type: "string" },
    description: "Labels sent with the payload; subscribers can filter by them",
  },
  idempotency_key: {
    type: "string",
    maxLength: 200,
    description:
      "A publication that is repeated with the same key, to the same channel, is not published again",
  },
  version: {
    type: "integer",
    minimum: 0,
    description: "Drops the publication unless its version is higher than the latest one of the channel",
  },
  version_epoch: {
    type: "string",
    maxLength: 200,
    description: "Versions of different epochs are not compared",
  },
} as const satisfies Record<string, Schema>;

type Publishing = ValueOf<{ properties: typeof PUBLICATION }>;

/** Takes the payload as it was written. */
export function payloadOf({ b64data }: Publishing, text: string): Payload {
  if (b64data !== undefined && b64data !== "") {
    try {
      return Payload.fromBytes(Uint8Array.fromBase64(b64data));
    } catch {
      throw badRequest("b64data must be base64");
    }
  }
  const data = memberText(text, "data");
  if (data === undefined) throw badRequest("data must be given");
  return Payload.fromValidJson(data);
}

/** Empty values count as missing. */
export function optionsOf(
  { tags, skip_history, idempotency_key, version, version_epoch }: Publishing,
  { user }: Pick<Identity, "user">,
): PublishOptions {
  return {
    ...(tags !== undefined && { tags }),
    ...(skip_history && { ephemeral: true }),
    ...(idempotency_key &&
      { idempotencyKey: idempotency_key, ...(user !== "" && { idempotencyOwner: user }) }),
    ...(version && { version, ...(version_epoch && { versionEpoch: version_epoch }) }),
  };
}
