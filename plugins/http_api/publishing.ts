/**
 * The methods that publish.
 *
 * @module
 */

import type { MaybePromise } from "../../core/mod.ts";
import type { Channels, Published, PublishOptions } from "../channels.ts";
import type { Identity } from "../shared/identity.ts";
import { memberText } from "../shared/json_text.ts";
import { Payload } from "../shared/payload.ts";
import { inSlices } from "../shared/slices.ts";
import { permit } from "./calls.ts";
import { apiError, badRequest, internalError } from "./errors.ts";
import { base64, channel, epoch, json, offset } from "./fields.ts";
import type { Schema, ValueOf } from "./schema.ts";
import { compatible, type Method } from "./types.ts";

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

const PUBLISHED = { type: "object", properties: { offset, epoch } } as const satisfies Schema;

/** What the methods need. */
export interface PublishingParts {
  readonly channels: Pick<Channels, "publish">;
  failed(what: string, error: unknown): void;
}

/** Makes the methods. */
export function publishingMethods({ channels, failed }: PublishingParts): Method[] {
  return [
    compatible({
      name: "publish",
      summary: "Publishes to a channel",
      params: { type: "object", properties: { channel, ...PUBLICATION }, required: ["channel"] },
      result: PUBLISHED,
      permission: "write:{channel}",
      async run(params, { text, identity }) {
        const { channel } = params;
        const payload = payloadOf(params, text);
        return positionText(await channels.publish(channel, payload, optionsOf(params, identity)));
      },
    }),

    compatible({
      name: "broadcast",
      summary: "Publishes the same to several channels",
      params: {
        type: "object",
        properties: {
          channels: { type: "array", items: { type: "string" }, minItems: 1, description: "Their names" },
          ...PUBLICATION,
        },
        required: ["channels"],
      },
      result: {
        type: "object",
        properties: {
          responses: {
            type: "array",
            items: { type: "object" },
            description:
              "For each channel `{ result }` or `{ error }`. Each needs the permission `write:CHANNEL`",
          },
        },
      },
      async run(params, { text, identity }) {
        const payload = payloadOf(params, text);
        const options = optionsOf(params, identity);
        const publish = (channel: string): MaybePromise<string> => {
          try {
            if (channel === "") throw badRequest("A channel's name must not be empty");
            permit(identity, "write:{channel}", { channel });
            return channels.publish(channel, payload, options).then(
              (published) => `{"result":${positionText(published)}}`,
              errorText,
            );
          } catch (error) {
            return errorText(error);
          }
        };
        const responses = await inSlices(params.channels, publish, { parallel: true });
        return `{"responses":[${responses.join(",")}]}`;
      },
    }),
  ];

  function errorText(error: unknown): string {
    const known = apiError(error);
    if (known === undefined) failed("a broadcast", error);
    return `{"error":${JSON.stringify(known ?? internalError)}}`;
  }
}

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

/** Zero values are left out. */
function positionText({ offset, epoch }: Published): string {
  return offset === 0 ? "{}" : `{"offset":${offset},"epoch":${JSON.stringify(epoch)}}`;
}
