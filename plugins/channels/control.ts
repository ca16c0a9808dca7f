/**
 * Control of channels and clients on all nodes: each call is a question to the cluster, and each node answers for its own
 * clients. Questions and answers are plain data.
 *
 * @module
 */

import { type CloseCode, closeCode, type Log, messageOf, PlugboardError } from "../../core/mod.ts";
import type { Cluster } from "../shared/cluster.ts";
import { Payload } from "../shared/payload.ts";
import type { ChannelNode } from "./channel_node.ts";
import { unsubscribeCodes } from "./client.ts";
import type { LocalClients } from "./local_clients.ts";
import type { ChannelControl, ChannelStats, IdentityChange, Target } from "./service.ts";
import type { SubscribeGrant, UnsubscribeCode } from "./types.ts";

/** What a node can be asked, with the arguments. */
interface Questions {
  disconnect: { target: Target; why: CloseCode };
  subscribe: { target: Target; channel: string; grant: SubscribeGrant | undefined };
  unsubscribe: { target: Target; channel: string | undefined };
  close: { channel: string; why: UnsubscribeCode };
  refresh: { target: Target; change: IdentityChange };
  stats: { channel: string | undefined };
}

/** A node's answer: the result, or the error for the caller. */
type Answer = { readonly result: unknown } | { readonly code: string; readonly message: string };

/** The part of the service that reaches all nodes. */
export type RemoteControl = Pick<
  ChannelControl,
  "disconnect" | "subscribeClients" | "unsubscribeClients" | "closeChannel" | "refresh" | "stats"
>;

/** Asks the nodes, and answers for this one. */
export interface Control extends RemoteControl {
  /** Starts to answer. Returns the function that ends it. */
  start(log: Log): () => void;
  /** Returns what the channels of this node do, or one of them. */
  localStats(channel?: string): ChannelStats[];
}

const TOPIC = "channels";
const forceDisconnect = closeCode(3503, "force disconnect");

/** Creates the control. */
export function control(node: ChannelNode, clients: LocalClients, cluster: Cluster): Control {
  function localStats(channel?: string): ChannelStats[] {
    const all = channel === undefined ? [...node.channels.values()] : [node.channels.get(channel)];
    return all.flatMap((each) => each === undefined ? [] : [each.stats]);
  }

  const answers: { [Name in keyof Questions]: (question: Questions[Name]) => unknown } = {
    disconnect({ target, why }) {
      const all = clients.targeted(target);
      for (const { conn } of all) conn.close(why);
      return all.length;
    },
    async subscribe({ target, channel, grant }) {
      const all = clients.targeted(target);
      const request = { serverSide: true, ...(grant !== undefined && { grant }) };
      // Those that are subscribed already count too, so that a failed call can be repeated.
      const others = all.filter(({ subscriptions }) => !subscriptions.has(channel));
      await Promise.all(others.map((client) =>
        client.subscribe(channel, request, (subscribed) => {
          client.conn.send(client.encoder.subscribed(channel, subscribed));
        })
      ));
      return all.length;
    },
    unsubscribe({ target, channel }) {
      const ended = clients.targeted(target).flatMap((client) => {
        const names = channel === undefined ? [...client.subscriptions.keys()] : [channel];
        return names.filter((name) => client.expel(name, unsubscribeCodes.server));
      });
      return ended.length;
    },
    close: ({ channel, why }) => node.close(channel, why),
    refresh({ target, change }) {
      const all = clients.targeted(target);
      for (const client of all) client.identify({ ...client.identity, ...change });
      return all.length;
    },
    stats: ({ channel }) => localStats(channel),
  };

  async function ask<Name extends keyof Questions>(name: Name, question: Questions[Name]) {
    const { answers, silent } = await cluster.ask(`${TOPIC}.${name}`, question);
    const results = answers.map(({ answer }) => {
      const given = answer as Answer;
      if ("result" in given) return given.result;
      throw new PlugboardError(given.code, given.message);
    });
    return { results, silent };
  }

  async function count<Name extends keyof Questions>(name: Name, question: Questions[Name]): Promise<number> {
    const { results, silent } = await ask(name, question);
    if (silent.length > 0) {
      throw new PlugboardError("unavailable", `No answer from ${silent.join(", ")}`);
    }
    return (results as number[]).reduce((sum, each) => sum + each, 0);
  }

  return {
    localStats,
    start(log) {
      const ends = Object.entries(answers).map(([name, answer]) =>
        cluster.on(`${TOPIC}.${name}`, async (question): Promise<Answer> => {
          try {
            return { result: await (answer as (question: unknown) => unknown)(question) };
          } catch (error) {
            if (error instanceof PlugboardError) return { code: error.code, message: error.message };
            log.error(`${name} of clients failed`, { error });
            return { code: "internal", message: messageOf(error) };
          }
        })
      );
      return () => ends.forEach((end) => end());
    },
    disconnect: (target, why = forceDisconnect) => count("disconnect", { target, why }),
    async subscribeClients(target, channel, grant) {
      return await count("subscribe", { target, channel, grant: grant && checkedGrant(grant) });
    },
    unsubscribeClients: (target, channel) => count("unsubscribe", { target, channel }),
    closeChannel: (channel, why) => count("close", { channel, why }),
    async refresh(target, { expiresAt, info }) {
      const change = {
        ...(expiresAt !== undefined && { expiresAt }),
        ...(info !== undefined && { info: json(info) }),
      };
      return await count("refresh", { target, change });
    },
    async stats(channel) {
      const { results, silent } = await ask("stats", { channel });
      return { channels: merged((results as ChannelStats[][]).flat()), silent };
    },
  };
}

/** Adds up what the nodes tell of the same channels. Each node delivers each publication, so these are not added. */
function merged(all: readonly ChannelStats[]): ChannelStats[] {
  const channels = new Map<string, ChannelStats>();
  for (const each of all) {
    const other = channels.get(each.channel);
    const latest = Math.max(each.lastPublishedAt ?? 0, other?.lastPublishedAt ?? 0);
    channels.set(
      each.channel,
      other === undefined ? each : {
        channel: each.channel,
        subscribers: each.subscribers + other.subscribers,
        callbacks: each.callbacks + other.callbacks,
        publications: Math.max(each.publications, other.publications),
        lastPublishedAt: latest === 0 ? undefined : latest,
      },
    );
  }
  return [...channels.values()];
}

function checkedGrant({ chanInfo, data, expiresAt }: SubscribeGrant): SubscribeGrant {
  return {
    ...(chanInfo !== undefined && { chanInfo: json(chanInfo) }),
    ...(data !== undefined && { data: json(data) }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

/** Checks JSON text of the app, and removes its line breaks. */
function json(text: string): string {
  return Payload.fromJson(text).text;
}
