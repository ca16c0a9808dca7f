/**
 * The methods that read channels.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Channels, ClientInfo, Publication } from "../channels.ts";
import type { Presence, Present } from "../presence.ts";
import { joinedInSlices } from "../shared/slices.ts";
import { channel, clientInfo, epoch, json, NOTHING, nothing, offset, position } from "./fields.ts";
import type { Schema } from "./schema.ts";
import { compatible, type Method } from "./types.ts";

const ONLY_CHANNEL = {
  type: "object",
  properties: { channel },
  required: ["channel"],
} as const satisfies Schema;

const count = (description: string) => ({ type: "integer", description }) as const;

/** What the methods need. */
export interface ReadingParts {
  readonly channels: Pick<Channels, "history" | "removeHistory" | "namespaceOf">;
  readonly presence: Pick<Presence, "list" | "count"> | undefined;
}

/** Makes the methods. */
export function readingMethods({ channels, presence }: ReadingParts): Method[] {
  function presenceOf(channel: string): Pick<Presence, "list" | "count"> {
    if (channels.namespaceOf(channel).presence && presence !== undefined) return presence;
    throw new PlugboardError("not_available", "The channel has no presence");
  }

  return [
    compatible({
      name: "presence",
      summary: "Lists who is in a channel",
      params: ONLY_CHANNEL,
      result: {
        type: "object",
        properties: {
          presence: { type: "object", additionalProperties: clientInfo, description: "By connection" },
        },
      },
      permission: "read:{channel}",
      async run({ channel }) {
        const clients = await joinedInSlices(await presenceOf(channel).list(channel), presentText);
        return `{"presence":{${clients}}}`;
      },
    }),

    compatible({
      name: "presence_stats",
      summary: "Counts who is in a channel",
      params: ONLY_CHANNEL,
      result: {
        type: "object",
        properties: { num_clients: count("The connections"), num_users: count("The different users") },
      },
      permission: "read:{channel}",
      async run({ channel }) {
        const { clients, users } = await presenceOf(channel).count(channel);
        return `{"num_clients":${clients},"num_users":${users}}`;
      },
    }),

    compatible({
      name: "history",
      summary: "Reads the history of a channel",
      params: {
        type: "object",
        properties: {
          channel,
          limit: {
            type: "integer",
            description: "The maximum number of publications; 0 reads only the position, -1 all",
          },
          since: position,
          reverse: { type: "boolean", description: "Newest first" },
        },
        required: ["channel"],
      },
      result: {
        type: "object",
        properties: {
          publications: {
            type: "array",
            items: {
              type: "object",
              properties: { data: json("The payload"), offset, info: clientInfo, tags: { type: "object" } },
            },
          },
          offset,
          epoch,
        },
      },
      permission: "read:{channel}",
      async run({ channel, limit = 0, since, reverse = false }) {
        const { offset = 0, epoch = "" } = since ?? {};
        const { publications, top } = await channels.history(channel, {
          reverse,
          ...(limit >= 0 && { limit }),
          ...(since !== undefined && { since: { offset, epoch } }),
        });
        const texts = await joinedInSlices(publications, publicationText);
        const topText = `"offset":${top.offset},"epoch":${JSON.stringify(top.epoch)}`;
        return `{"publications":[${texts}],${topText}}`;
      },
    }),

    compatible({
      name: "history_remove",
      summary: "Empties the history of a channel",
      params: ONLY_CHANNEL,
      result: nothing,
      permission: "admin:channels",
      async run({ channel }) {
        if (channels.namespaceOf(channel).keep === undefined) {
          throw new PlugboardError("not_available", "The channel keeps no history");
        }
        await channels.removeHistory(channel);
        return NOTHING;
      },
    }),
  ];
}

function publicationText({ payload, info, offset, tags }: Publication): string {
  let text = `{"data":${payload.text}`;
  if (info !== undefined) text += `,"info":${infoText(info)}`;
  if (offset > 0) text += `,"offset":${offset}`;
  if (tags !== undefined) text += `,"tags":${JSON.stringify(tags)}`;
  return text + "}";
}

function presentText({ client, user, info, data }: Present): string {
  // What an update said is shown where a token says nothing.
  const chanInfo = info?.chanInfo ?? (data === undefined ? undefined : JSON.stringify(data));
  const shown = { user, client, ...info, ...(chanInfo !== undefined && { chanInfo }) };
  return `${JSON.stringify(client)}:${infoText(shown)}`;
}

function infoText({ user, client, connInfo, chanInfo }: ClientInfo): string {
  let text = `{"user":${JSON.stringify(user)},"client":${JSON.stringify(client)}`;
  if (connInfo !== undefined) text += `,"conn_info":${connInfo}`;
  if (chanInfo !== undefined) text += `,"chan_info":${chanInfo}`;
  return text + "}";
}
