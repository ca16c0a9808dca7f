/**
 * The methods that list what is on the nodes of the server.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Cluster } from "../channels.ts";
import { joinedInSlices } from "../shared/slices.ts";
import { askNodes, hearNodes, mergePages } from "./asking.ts";
import { CONNECTIONS } from "./control.ts";
import { client, cursor, nextCursor, user } from "./fields.ts";
import {
  type ChannelsQuestion,
  type ConnectionsQuestion,
  type ListedConnection,
  type NodeInfo,
  type Page,
} from "./nodes.ts";
import { WORKER } from "./listed_worker.ts";
import type { Schema } from "./schema.ts";
import { compatible, type Method, own } from "./types.ts";

/** The usual number of entries in a page, and the maximum. */
const PAGE = 100;
const MAX_PAGE = 1_000;

const limit = {
  type: "integer",
  minimum: 1,
  maximum: MAX_PAGE,
  description: `The maximum number of entries, by default ${PAGE}`,
} as const satisfies Schema;

const CONNECTION = {
  user,
  protocol: { type: "string" },
  ip: { type: "string" },
  connected_at: { type: "integer", description: "Milliseconds since 1970" },
  num_channels: { type: "integer" },
} as const satisfies Record<string, Schema>;

/** Makes the methods. */
export function listingMethods(cluster: Cluster): Method[] {
  async function pages<Item>(
    topic: "channels" | "connections",
    question: ChannelsQuestion | ConnectionsQuestion,
    add: (a: Item, b: Item) => Item,
  ): Promise<Page<Item>> {
    const answers = await askNodes<Page<Item>>(cluster, topic, question);
    return await mergePages(answers.map(({ answer }) => answer), question.limit, add);
  }

  return [
    compatible({
      name: "channels",
      summary: "Lists the channels with subscribers",
      params: {
        type: "object",
        properties: {
          pattern: {
            type: "string",
            maxLength: 255,
            description: "`*` stands for any text, `?` for a character, `{a,b}` for alternatives",
          },
          limit: {
            ...limit,
            description: "The maximum number of channels; without it, all are listed at once",
          },
          cursor,
        },
      },
      result: {
        type: "object",
        properties: {
          channels: {
            type: "object",
            additionalProperties: { type: "object", properties: { num_clients: { type: "integer" } } },
          },
          cursor: nextCursor,
        },
      },
      permission: "admin:channels",
      async run({ pattern = "", limit, cursor = "" }) {
        const question = { pattern, after: cursor, limit };
        const page = await pages<number>("channels", question, (a, b) => a + b);
        return await pageText("channels", page, (num_clients) => `{"num_clients":${num_clients}}`);
      },
    }),

    own({
      name: "connections",
      summary: "Lists connections: all, or those of a user or channel",
      params: {
        type: "object",
        properties: {
          user,
          channel: { type: "string", description: "The name of a channel" },
          limit,
          cursor,
        },
      },
      result: {
        type: "object",
        properties: {
          connections: {
            type: "object",
            additionalProperties: { type: "object", properties: CONNECTION },
            description: "By the id of the connection",
          },
          cursor: nextCursor,
        },
      },
      permission: CONNECTIONS,
      async run({ user, channel, limit = PAGE, cursor = "" }) {
        const filter = { ...(user !== undefined && { user }), ...(channel !== undefined && { channel }) };
        const page = await pages<ListedConnection>(
          "connections",
          { ...filter, after: cursor, limit },
          (a) => a,
        );
        return await pageText("connections", page, (each) => JSON.stringify(each));
      },
    }),

    own({
      name: "connection",
      summary: "Describes a connection",
      params: { type: "object", properties: { client }, required: ["client"] },
      result: {
        type: "object",
        properties: {
          client,
          ...CONNECTION,
          expires_at: { type: "integer", description: "When its sign-in ends, in milliseconds since 1970" },
          info: { description: "What others see of it" },
          queued_bytes: { type: "integer", description: "What it has not read yet" },
          permissions: { type: "array", items: { type: "string" }, description: "Those of its sign-in" },
          channels: { type: "object", description: "Its subscriptions, by channel" },
        },
      },
      permission: CONNECTIONS,
      async run({ client }) {
        const answers = await askNodes<object | null>(cluster, "connection", { client });
        const found = answers.find(({ answer }) => answer !== null);
        if (found === undefined) throw new PlugboardError("not_found", "client: there is no such connection");
        return JSON.stringify(found.answer);
      },
    }),

    compatible({
      name: "info",
      summary: "Describes the nodes of the server",
      params: { type: "object", properties: {} },
      result: {
        type: "object",
        properties: {
          nodes: {
            type: "array",
            items: {
              type: "object",
              properties: {
                uid: { type: "string" },
                name: { type: "string" },
                version: { type: "string" },
                num_clients: { type: "integer" },
                num_users: { type: "integer" },
                num_channels: { type: "integer" },
                num_subs: { type: "integer" },
                uptime: { type: "integer", description: "Seconds" },
                workers: {
                  type: "array",
                  description: "Only with workers. Totals include those of the workers that were replaced",
                  items: { type: "object", properties: WORKER },
                },
              },
            },
          },
          silent: { type: "array", items: { type: "string" }, description: "Nodes that did not answer" },
        },
      },
      permission: "admin:metrics",
      async run() {
        const { answers, silent } = await hearNodes<NodeInfo>(cluster, "info", {});
        const nodes = answers.map(({ node, answer }) => ({
          uid: node,
          name: node,
          version: "plugboard",
          ...answer,
        }));
        return JSON.stringify({ nodes, ...(silent.length > 0 && { silent }) });
      },
    }),
  ];
}

async function pageText<Item>(
  name: string,
  { entries, more }: Page<Item>,
  text: (item: Item) => string,
): Promise<string> {
  const members = await joinedInSlices(entries, ({ key, item }) => `${JSON.stringify(key)}:${text(item)}`);
  const cursor = more ? `,"cursor":${JSON.stringify(entries.at(-1)!.key)}` : "";
  return `{"${name}":{${members}}${cursor}}`;
}
