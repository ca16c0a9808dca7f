/**
 * The methods that answer an operator's questions: what is this channel, who is this user, and why may they not?
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Access, SignIn } from "../auth.ts";
import type { Channels, Cluster, Identity, Namespace } from "../channels.ts";
import type { JournalEntry } from "../stats.ts";
import { askNodes } from "./asking.ts";
import { badRequest } from "./errors.ts";
import { channel, client, json, user } from "./fields.ts";
import { ACTIONS, type Found } from "./nodes.ts";
import type { Schema } from "./schema.ts";
import { type Method, own } from "./types.ts";

/** What the methods need. */
export interface InspectingParts {
  readonly cluster: Cluster;
  readonly channels: Pick<Channels, "namespaceOf" | "stats" | "history" | "verdict" | "closeChannel">;
  readonly access: Pick<Access, "verify" | "anonymous">;
}

const limit = {
  type: "integer",
  minimum: 1,
  maximum: 100,
  description: "The maximum number of each kind, by default 20",
} as const satisfies Schema;

const LIST = { type: "array", items: { type: "object" } } as const satisfies Schema;

const EVENT = {
  type: "string",
  enum: ["connected", "disconnected", "recovered", "not recovered", "limited"],
  description: "What happened",
} as const satisfies Schema;

/** Makes the methods. */
export function inspectingMethods({ cluster, channels, access }: InspectingParts): Method[] {
  return [
    own({
      name: "search",
      summary: "Finds channels and users whose name has a text, and connections whose id begins with it",
      params: {
        type: "object",
        properties: { text: { type: "string", maxLength: 255 }, limit },
        required: ["text"],
      },
      result: { type: "object", properties: { channels: LIST, users: LIST, clients: LIST } },
      permission: "admin:connections",
      async run({ text, limit = 20 }) {
        const answers = await askNodes<Found>(cluster, "search", { text: text.toLowerCase(), limit });
        const all = answers.map(({ answer }) => answer);
        return JSON.stringify({
          channels: summed(all.flatMap(({ channels }) => channels), "channel", limit),
          users: summed(all.flatMap(({ users }) => users), "user", limit),
          clients: all.flatMap(({ clients }) => clients).slice(0, limit),
        });
      },
    }),

    own({
      name: "channel",
      summary: "Describes a channel: its namespace, and what it does",
      params: { type: "object", properties: { channel }, required: ["channel"] },
      result: {
        type: "object",
        properties: {
          channel,
          namespace: json("Its options in force"),
          notes: { type: "array", items: { type: "string" }, description: "What it lacks, and why" },
          num_clients: { type: "integer" },
          publications: { type: "integer", description: "Since it is in use" },
          published_at: { type: "integer", description: "Milliseconds since 1970" },
          position: json("The latest position in its history"),
        },
      },
      permission: "admin:channels",
      async run({ channel }) {
        const namespace = channels.namespaceOf(channel);
        const { channels: [found] } = await channels.stats(channel);
        const history = namespace.keep && await channels.history(channel, { limit: 0 });
        return JSON.stringify({
          channel,
          namespace: optionsOf(namespace),
          notes: notesOn(channel, namespace),
          num_clients: found?.subscribers ?? 0,
          publications: found?.publications ?? 0,
          published_at: found?.lastPublishedAt,
          position: history?.top,
        });
      },
    }),

    own({
      name: "channel/close",
      summary: "Ends all subscriptions to a channel",
      params: { type: "object", properties: { channel }, required: ["channel"] },
      result: { type: "object", properties: { closed: { type: "integer" } } },
      permission: "admin:channels",
      async run({ channel }) {
        channels.namespaceOf(channel); // Throws for an invalid name.
        return `{"closed":${await channels.closeChannel(channel, {
          code: 2000,
          reason: "server unsubscribe",
        })}}`;
      },
    }),

    own({
      name: "verdict",
      summary: "Tells what a token, a user or a connection may do with a channel, and the rule that decides",
      params: {
        type: "object",
        properties: {
          channel,
          token: { type: "string", description: "A connection token" },
          user,
          client,
          anonymous: { type: "boolean", description: "A client without credentials" },
        },
        required: ["channel"],
      },
      result: {
        type: "object",
        properties: { user, client, permissions: json("Those of the sign-in"), verdicts: json("By action") },
      },
      permission: "admin:connections",
      async run({ channel, token, user, client, anonymous }) {
        channels.namespaceOf(channel); // Throws for an invalid name.
        if (token !== undefined || anonymous) {
          const { identity, permissions } = await signInBy(token);
          return JSON.stringify({ user: identity.user, permissions, verdicts: decided(identity, channel) });
        }
        if (user === undefined && client === undefined) {
          throw badRequest("token, user, client or anonymous must be given");
        }
        const of = client !== undefined ? { client } : { user };
        const answers = await askNodes<object | null>(cluster, "verdict", { ...of, channel });
        const found = answers.find(({ answer }) => answer !== null);
        if (found !== undefined) return JSON.stringify(found.answer);
        throw new PlugboardError(
          "not_found",
          "None of these clients is connected; a token can be checked at any time",
        );
      },
    }),

    own({
      name: "journal",
      summary:
        "Returns the latest sign-ins, disconnects, recoveries and limits of a user or a connection, or all of a kind, the newest first",
      params: { type: "object", properties: { user, client, event: EVENT } },
      result: { type: "object", properties: { entries: LIST } },
      permission: "admin:connections",
      async run({ user, client, event }) {
        if (user === undefined && client === undefined && event === undefined) {
          throw badRequest("user, client or event must be given");
        }
        const of = {
          ...(user !== undefined && client === undefined && { user }),
          ...(client !== undefined && { client }),
          ...(event !== undefined && { event }),
        };
        const answers = await askNodes<readonly JournalEntry[]>(cluster, "journal", of);
        const entries = answers.flatMap(({ answer }) => answer).sort((a, b) => b.time - a.time);
        return JSON.stringify({ entries: entries.slice(0, 100) });
      },
    }),
  ];

  /** The caller itself is signed in, so that an error must not have the status 401. */
  async function signInBy(token: string | undefined): Promise<SignIn> {
    try {
      return token === undefined ? access.anonymous() : await access.verify(token);
    } catch (error) {
      if (!(error instanceof PlugboardError)) throw error;
      throw badRequest(
        token === undefined
          ? "anonymous: clients without credentials are not allowed"
          : `token: ${error.message}`,
      );
    }
  }

  function decided(identity: Identity, channel: string): object {
    return Object.fromEntries(ACTIONS.map((action) => [action, channels.verdict(identity, action, channel)]));
  }
}

/** Adds up the clients of entries with the same name. */
function summed<Name extends string>(
  all: readonly ({ readonly [Key in Name]: string } & { readonly num_clients: number })[],
  name: Name,
  limit: number,
): object[] {
  const sums = new Map<string, number>();
  for (const each of all) sums.set(each[name], (sums.get(each[name]) ?? 0) + each.num_clients);
  return [...sums].slice(0, limit).map(([key, num_clients]) => ({ [name]: key, num_clients }));
}

/** The options as JSON. */
function optionsOf({ broker: _broker, keep: _keep, ...options }: Namespace): object {
  return options;
}

/** Sentences about what a channel lacks. */
function notesOn(channel: string, namespace: Namespace): string[] {
  const { name, keep, historySize, presence, joinLeave, recovery, maxTagFilters, delta, rules } = namespace;
  const where = name === "" ? "the default namespace" : `the namespace ${name}`;
  const notes: [boolean, string][] = [
    [channel.startsWith("$"), "It is private: a permission must name it, or a subscription token allow it."],
    [/#/.test(channel), `Only these users may use it: ${channel.slice(channel.lastIndexOf("#") + 1)}.`],
    [
      keep === undefined,
      `No history: ${
        historySize === 0 ? "historySize" : "historyMs"
      } is 0 in ${where}. So nothing can be recovered.`,
    ],
    [keep !== undefined && recovery === "off", `No recovery: recovery is off in ${where}.`],
    [!presence, `No presence: presence is false in ${where}.`],
    [joinLeave === "off", `No joins and leaves: joinLeave is off in ${where}.`],
    [rules.publish.includes("nobody"), `Only the server publishes: publish is nobody in ${where}.`],
    [maxTagFilters === 0, `No tag filters: maxTagFilters is 0 in ${where}.`],
    [delta === "off", `No deltas: delta is off in ${where}.`],
  ];
  return notes.filter(([holds]) => holds).map(([, text]) => text);
}
