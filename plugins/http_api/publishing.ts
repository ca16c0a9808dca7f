/**
 * The methods that publish.
 *
 * @module
 */

import type { MaybePromise } from "../../core/mod.ts";
import type { Channels, Published } from "../channels.ts";
import type { Schedule } from "../schedule.ts";
import { inSlices } from "../shared/slices.ts";
import { permit } from "./calls.ts";
import { apiError, badRequest, internalError } from "./errors.ts";
import { channel, epoch, offset } from "./fields.ts";
import { optionsOf, payloadOf, PUBLICATION } from "./publication.ts";
import { isLater, LATER, publishLater } from "./scheduling.ts";
import type { Schema } from "./schema.ts";
import { compatible, type Method } from "./types.ts";

const PUBLISHED = { type: "object", properties: { offset, epoch } } as const satisfies Schema;

/** What the methods need. */
export interface PublishingParts {
  readonly channels: Pick<Channels, "publish">;
  readonly schedule: Schedule | undefined;
  failed(what: string, error: unknown): void;
}

/** Makes the methods. */
export function publishingMethods({ channels, schedule, failed }: PublishingParts): Method[] {
  return [
    compatible({
      name: "publish",
      summary: "Publishes to a channel, now or later",
      params: { type: "object", properties: { channel, ...PUBLICATION, ...LATER }, required: ["channel"] },
      result: PUBLISHED,
      permission: "write:{channel}",
      async run(params, call) {
        if (isLater(params)) return JSON.stringify(await publishLater(schedule, params, call));
        const { channel } = params;
        const { text, identity } = call;
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
          ...LATER,
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
        if (isLater(params)) throw badRequest("Publish to each channel to do it later");
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

/** Zero values are left out. */
function positionText({ offset, epoch }: Published): string {
  return offset === 0 ? "{}" : `{"offset":${offset},"epoch":${JSON.stringify(epoch)}}`;
}
