/**
 * The methods for publications that are due later.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Schedule, Scheduled } from "../schedule.ts";
import { channel, NOTHING, nothing } from "./fields.ts";
import { optionsOf, payloadOf, PUBLICATION } from "./publication.ts";
import type { Schema, ValueOf } from "./schema.ts";
import { type Call, type Method, own } from "./types.ts";

const id = {
  type: "string",
  minLength: 1,
  maxLength: 200,
  description: "Identifies the publication in its channel",
} as const satisfies Schema;

const SCHEDULED = {
  channel,
  id,
  seq: { type: "integer", description: "Counts what was scheduled" },
  at: { type: "integer", description: "When it is due next, in milliseconds since 1970" },
  every: { type: "string" },
  timezone: { type: "string" },
} as const satisfies Record<string, Schema>;

/** When to publish. */
export const LATER = {
  at: { type: "integer", minimum: 0, description: "The moment, in milliseconds since 1970" },
  delay: { type: "integer", minimum: 0, description: "In how many milliseconds" },
  every: { type: "string", maxLength: 200, description: "A cron pattern such as `0 9 * * MON-FRI`" },
  timezone: { type: "string", maxLength: 100, description: "The time zone of `every`, by default UTC" },
  id: { ...id, description: "Replaces an older publication with this id in the channel" },
} as const satisfies Record<string, Schema>;

const PROPERTIES = { channel, ...PUBLICATION, ...LATER };

/** Whether something is to be published later. */
export function isLater({ at, delay, every }: Partial<ValueOf<{ properties: typeof LATER }>>): boolean {
  return at !== undefined || delay !== undefined || Boolean(every);
}

/** Publishes later. */
export async function publishLater(
  schedule: Schedule | undefined,
  params: ValueOf<{ properties: typeof PROPERTIES; required: ["channel"] }>,
  { text, identity: { user } }: Call,
): Promise<Scheduled> {
  const { channel, at, delay, every, timezone, id, idempotency_key } = params;
  const when = { at, delay, every, timezone, id, idempotencyKey: idempotency_key || undefined };
  const given = Object.fromEntries(Object.entries(when).filter(([, value]) => value !== undefined));
  const { tags, ephemeral, version, versionEpoch } = optionsOf(params, { user: "" });
  return await required(schedule).publish(channel, payloadOf(params, text), {
    ...given,
    ...(user !== "" && { owner: user }),
    ...(tags !== undefined && { tags }),
    ...(ephemeral && { ephemeral }),
    ...(version !== undefined && { version }),
    ...(versionEpoch !== undefined && { versionEpoch }),
  });
}

function required(schedule: Schedule | undefined): Schedule {
  if (schedule !== undefined) return schedule;
  throw new PlugboardError("not_available", "There is no schedule");
}

/** Makes the methods. */
export function schedulingMethods(schedule: Schedule | undefined): Method[] {
  return [
    own({
      name: "schedule",
      summary: "Publishes later: at a moment, after a delay, or by a cron pattern",
      params: { type: "object", properties: PROPERTIES, required: ["channel"] },
      result: { type: "object", properties: SCHEDULED },
      permission: "write:{channel}",
      run: async (params, call) => JSON.stringify(await publishLater(schedule, params, call)),
    }),

    own({
      name: "schedule/list",
      summary: "Lists what will be due, in the order in which it was scheduled",
      params: {
        type: "object",
        properties: {
          channel: { type: "string", description: "Only those of a channel" },
          after: { type: "integer", minimum: 0, description: "Only those after this `seq`" },
          limit: {
            type: "integer",
            minimum: 1,
            maximum: 1_000,
            description: "The maximum number, by default 100",
          },
        },
      },
      result: {
        type: "object",
        properties: { scheduled: { type: "array", items: { type: "object", properties: SCHEDULED } } },
      },
      permission: "admin:schedule",
      run: async (query) => JSON.stringify({ scheduled: await required(schedule).list(query) }),
    }),

    own({
      name: "schedule/cancel",
      summary: "Cancels a publication that is not due yet",
      params: { type: "object", properties: { channel, id }, required: ["channel", "id"] },
      result: nothing,
      permission: "write:{channel}",
      async run({ channel, id }) {
        if (await required(schedule).cancel(channel, id)) return NOTHING;
        throw new PlugboardError("not_found", `id: nothing with the id "${id}" is scheduled in this channel`);
      },
    }),
  ];
}
