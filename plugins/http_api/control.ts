/**
 * The methods that control clients.
 *
 * @module
 */

import { closeCode, closeCodes } from "../../core/mod.ts";
import type { ChannelControl, ServerSubscription, Target } from "../channels.ts";
import { memberText } from "../shared/json_text.ts";
import { badRequest } from "./errors.ts";
import {
  base64,
  channel,
  client,
  json,
  NOTHING,
  nothing,
  position,
  seconds,
  session,
  user,
} from "./fields.ts";
import type { Schema } from "./schema.ts";
import { type Call, compatible, type Method } from "./types.ts";

/** Which clients are meant. */
const TARGET = { user, client, session } as const satisfies Record<string, Schema>;

const flag = {
  type: "object",
  properties: { value: { type: "boolean" } },
} as const satisfies Schema;

/** The permission of all these methods. */
export const CONNECTIONS = "admin:connections";

/** Makes the methods. */
export function controlMethods(
  channels: Pick<
    ChannelControl,
    "disconnect" | "subscribeClients" | "unsubscribeClients" | "refresh" | "namespaceOf"
  >,
): Method[] {
  return [
    compatible({
      name: "subscribe",
      summary: "Subscribes the connections of a user to a channel",
      params: {
        type: "object",
        properties: {
          ...TARGET,
          channel,
          info: json("What other clients see"),
          b64info: base64("`info`"),
          data: json("Data for the client"),
          b64data: base64("`data`"),
          expire_at: seconds("When the subscription ends"),
          recover_since: position,
          override: {
            type: "object",
            properties: {
              presence: flag,
              join_leave: flag,
              force_push_join_leave: flag,
              force_positioning: flag,
              force_recovery: flag,
            },
            description:
              "`force_push_join_leave`, `force_positioning` and `force_recovery` override the namespace",
          },
        },
        required: ["channel"],
      },
      result: nothing,
      permission: CONNECTIONS,
      async run(params, call) {
        const { expire_at = 0, recover_since, override = {}, b64info, b64data } = params;
        channels.namespaceOf(params.channel); // Throws for an invalid name.
        const { offset = 0, epoch = "" } = recover_since ?? {};
        await channels.subscribeClients(targetOf(params), params.channel, {
          ...textOf("chanInfo", call, "info", b64info),
          ...textOf("data", call, "data", b64data),
          ...(expire_at > 0 && { expiresAt: expire_at * 1000 }),
          ...(recover_since !== undefined && { recover: { offset, epoch } }),
          ...(override.force_recovery?.value && { recoverable: true }),
          ...(override.force_positioning?.value && { positioned: true }),
          ...(override.force_push_join_leave?.value && { joinLeave: true }),
        });
        return NOTHING;
      },
    }),

    compatible({
      name: "unsubscribe",
      summary: "Ends subscriptions of a user: to one channel, or to all",
      params: { type: "object", properties: { ...TARGET, channel: { ...channel, minLength: 0 } } },
      result: nothing,
      permission: CONNECTIONS,
      async run(params) {
        const { channel = "" } = params;
        if (channel !== "") channels.namespaceOf(channel);
        await channels.unsubscribeClients(targetOf(params), channel === "" ? undefined : channel);
        return NOTHING;
      },
    }),

    compatible({
      name: "disconnect",
      summary: "Closes the connections of a user",
      params: {
        type: "object",
        properties: {
          ...TARGET,
          whitelist: { type: "array", items: { type: "string" }, description: "Connections that are kept" },
          disconnect: {
            type: "object",
            properties: {
              code: { type: "integer", minimum: 0, description: "3000 to 4999" },
              reason: { type: "string", description: "At most 123 bytes" },
            },
            description: "The close code, by default 3503",
          },
        },
      },
      result: nothing,
      permission: CONNECTIONS,
      async run(params) {
        const { whitelist = [], disconnect: { code = 0, reason = "" } = {} } = params;
        if (code !== 0 && code < 3000) throw badRequest("disconnect.code must be between 3000 and 4999");
        const why = code === 0 ? undefined : closeCode(code, reason);
        const except = whitelist.length > 0 ? { except: whitelist } : {};
        await channels.disconnect({ ...targetOf(params), ...except }, why);
        return NOTHING;
      },
    }),

    compatible({
      name: "refresh",
      summary: "Changes when the sign-in of a user ends",
      params: {
        type: "object",
        properties: {
          ...TARGET,
          expired: {
            type: "boolean",
            description: "Closes the connections with 3005, so that they get a new token",
          },
          expire_at: seconds("When it ends"),
          info: json("What other clients see"),
        },
      },
      result: nothing,
      permission: CONNECTIONS,
      async run(params, call) {
        const target = targetOf(params);
        if (params.expired) await channels.disconnect(target, closeCodes.connectionExpired);
        else {
          const { expire_at = 0 } = params;
          await channels.refresh(target, {
            ...textOf("info", call, "info"),
            ...(expire_at > 0 && { expiresAt: expire_at * 1000 }),
          });
        }
        return NOTHING;
      },
    }),
  ];
}

/** Empty fields do not count. */
function targetOf(given: { readonly [Name in keyof typeof TARGET]?: string }): Target {
  const entries = (["user", "client", "session"] as const).filter((name) => given[name])
    .map((name) => [name, given[name]]);
  if (entries.length === 0) throw badRequest("user, client or session must be given");
  return Object.fromEntries(entries) as Target;
}

/** Returns a member of the parameters as JSON text, under another name. */
function textOf<Name extends keyof ServerSubscription | "info">(
  name: Name,
  { text }: Call,
  member: string,
  encoded = "",
): { readonly [Key in Name]?: string } {
  const json = encoded === "" ? memberText(text, member) : decoded(encoded, `b64${member}`);
  return json === undefined || json === "null" ? {} : { [name]: json } as { [Key in Name]: string };
}

function decoded(text: string, field: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(text));
  } catch {
    throw badRequest(`${field} must be base64`);
  }
}
