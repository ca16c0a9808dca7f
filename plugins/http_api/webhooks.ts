/**
 * The methods for webhooks: what waits for their receivers, and dead letters.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Webhooks } from "../webhooks.ts";
import type { Schema } from "./schema.ts";
import { type Method, own } from "./types.ts";

const PERMISSION = "admin:webhooks";

const name = {
  type: "string",
  minLength: 1,
  description: "The name of the receiver",
} as const satisfies Schema;

const SOME = {
  type: "object",
  properties: {
    name,
    ids: {
      type: "array",
      items: { type: "integer" },
      description: "The dead letters; all without it",
    },
  },
  required: ["name"],
} as const satisfies Schema;

const count = { type: "integer" } as const;

/** Makes the methods. */
export function webhookMethods(webhooks: Webhooks | undefined): Method[] {
  const available = () => {
    if (webhooks !== undefined) return webhooks;
    throw new PlugboardError("not_available", "There are no webhooks");
  };

  return [
    own({
      name: "webhooks",
      summary: "Tells what waits for each receiver",
      params: { type: "object", properties: {} },
      result: {
        type: "object",
        properties: {
          receivers: {
            type: "array",
            items: {
              type: "object",
              properties: { name, queued: count, dead_letters: count, dropped: count },
            },
          },
        },
      },
      permission: PERMISSION,
      run() {
        // Without webhooks it is no mistake to ask.
        const receivers = (webhooks?.stats() ?? []).map(({ deadLetters, ...rest }) => {
          return { ...rest, dead_letters: deadLetters };
        });
        return JSON.stringify({ receivers });
      },
    }),

    own({
      name: "dead_letters",
      summary: "Lists events that a receiver did not get, the oldest first",
      params: {
        type: "object",
        properties: {
          name,
          after: { type: "integer", minimum: 0, description: "Only those after this `id`" },
          limit: {
            type: "integer",
            minimum: 1,
            maximum: 1_000,
            description: "The maximum number, by default 100",
          },
        },
        required: ["name"],
      },
      result: {
        type: "object",
        properties: {
          dead_letters: {
            type: "array",
            items: {
              type: "object",
              properties: { id: count, event: { type: "object" }, reason: { type: "string" } },
            },
          },
        },
      },
      permission: PERMISSION,
      run: ({ name, ...page }) => JSON.stringify({ dead_letters: available().deadLetters(name, page) }),
    }),

    own({
      name: "dead_letters/retry",
      summary: "Sends dead letters again, as far as there is room in the queue",
      params: SOME,
      result: { type: "object", properties: { queued: count } },
      permission: PERMISSION,
      run: async ({ name, ids }) => `{"queued":${await available().retry(name, ids)}}`,
    }),

    own({
      name: "dead_letters/empty",
      summary: "Deletes dead letters",
      params: SOME,
      result: { type: "object", properties: { deleted: count } },
      permission: PERMISSION,
      run: async ({ name, ids }) => `{"deleted":${await available().empty(name, ids)}}`,
    }),
  ];
}
