/**
 * Control of channels and clients on all nodes. Each call is a question to the cluster, and each node answers for its own
 * clients. Questions and answers are plain data.
 *
 * @module
 */

import {
  type CloseCode,
  closeCode,
  type Log,
  type MaybePromise,
  messageOf,
  PlugboardError,
} from "../../core/mod.ts";
import type { Cluster } from "../shared/cluster.ts";
import { Payload } from "../shared/payload.ts";
import { inSlices } from "../shared/slices.ts";
import type { ChannelNode } from "./channel_node.ts";
import { unsubscribeCodes } from "./client.ts";
import type { LocalClients } from "./local_clients.ts";
import type { ChannelControl, ChannelStats, IdentityChange, ServerSubscription, Target } from "./service.ts";
import type { SubscribeGrant, UnsubscribeCode } from "./types.ts";

/** A node's answer: the result, or the error for the caller. */
type Answer<Result> = { readonly result: Result } | { readonly code: string; readonly message: string };

/** Asks all nodes, and answers for this one. */
export interface Control
  extends
    Omit<ChannelControl, "extend" | `${string}Namespace` | "prepareNamespaces" | "namespaceOf" | "verdict"> {
  /** Starts to answer. Returns the function that ends it. */
  start(log: Log): () => void;
  /** Returns what the channels of this node do, or one of them. */
  localStats(channel?: string): ChannelStats[];
}

const forceDisconnect = closeCode(3503, "force disconnect");

/** Creates the control. */
export function control(node: ChannelNode, clients: LocalClients, cluster: Cluster): Control {
  const topics = new Map<string, (question: unknown) => unknown>();

  /** Defines how this node answers. Returns the function that asks all nodes. */
  function question<Question, Result>(name: string, answer: (question: Question) => MaybePromise<Result>) {
    topics.set(`channels.${name}`, answer as (question: unknown) => unknown);
    return async (question: Question) => {
      const { answers, silent } = await cluster.ask(`channels.${name}`, question);
      const results = answers.map(({ answer }) => {
        const given = answer as Answer<Result>;
        if ("result" in given) return given.result;
        throw new PlugboardError(given.code, given.message);
      });
      return { results, silent };
    };
  }

  /** The same for numbers: the returned function resolves to their sum. */
  function counting<Question>(name: string, answer: (question: Question) => MaybePromise<number>) {
    const ask = question(name, answer);
    return async (asked: Question): Promise<number> => {
      const { results, silent } = await ask(asked);
      if (silent.length > 0) throw new PlugboardError("unavailable", `No answer from ${silent.join(", ")}`);
      return results.reduce((sum, each) => sum + each, 0);
    };
  }

  const disconnect = counting("disconnect", async ({ target, why }: { target: Target; why: CloseCode }) => {
    const all = clients.targeted(target);
    await inSlices(all, ({ conn }) => conn.close(why));
    return all.length;
  });

  type Subscribing = { target: Target; channel: string; subscription: ServerSubscription | undefined };
  const subscribe = counting("subscribe", async ({ target, channel, subscription }: Subscribing) => {
    const all = clients.targeted(target);
    const { recover, ...grant } = subscription ?? {};
    const request = {
      serverSide: true,
      recoverable: true,
      ...(subscription !== undefined && { grant }),
      ...(recover !== undefined && { recover }),
    };
    const settled = await Promise.allSettled(
      all.map(async (client) =>
        await client.subscribe(channel, request, (subscribed) => {
          const { conn, encoder } = client;
          conn.send(encoder.subscribed(channel, subscribed));
          for (const each of subscribed.publications) conn.send(encoder.publication(channel, each));
        })
      ),
    );
    for (const each of settled) {
      // Those that are subscribed already count too, so that a failed call can be repeated.
      if (each.status === "rejected" && !isAlreadySubscribed(each.reason)) throw each.reason;
    }
    return all.length;
  });

  type Unsubscribing = { target: Target; channel: string | undefined };
  const unsubscribe = counting("unsubscribe", async ({ target, channel }: Unsubscribing) => {
    const ended = await inSlices(clients.targeted(target), (client) => {
      const names = channel === undefined ? [...client.subscriptions.keys()] : [channel];
      return names.filter((name) => client.expel(name, unsubscribeCodes.server)).length;
    });
    return ended.reduce((sum, each) => sum + each, 0);
  });

  const close = counting(
    "close",
    ({ channel, why }: { channel: string; why: UnsubscribeCode }) => node.close(channel, why),
  );

  type Refreshing = { target: Target; change: IdentityChange };
  const refresh = counting("refresh", async ({ target, change }: Refreshing) => {
    const all = clients.targeted(target);
    await inSlices(all, (client) => {
      if (client.conn.open) client.identify({ ...client.identity, ...change });
    });
    return all.length;
  });

  function localStats(channel?: string): ChannelStats[] {
    const all = channel === undefined ? [...node.channels.values()] : [node.channels.get(channel)];
    return all.flatMap((each) => each === undefined ? [] : [each.stats]);
  }
  const stats = question("stats", ({ channel }: { channel: string | undefined }) => localStats(channel));

  return {
    localStats,
    start(log) {
      const ends = Array.from(
        topics,
        ([name, answer]) =>
          cluster.on(name, async (question): Promise<Answer<unknown>> => {
            try {
              return { result: await answer(question) };
            } catch (error) {
              if (error instanceof PlugboardError) return { code: error.code, message: error.message };
              log.error(`an answer to ${name} failed`, { error });
              return { code: "internal", message: messageOf(error) };
            }
          }),
      );
      return () => ends.forEach((end) => end());
    },
    disconnect: (target, why = forceDisconnect) => disconnect({ target, why }),
    // `async`, so that an invalid text rejects.
    subscribeClients: async (target, channel, subscription) =>
      await subscribe({ target, channel, subscription: subscription && normalized(subscription) }),
    unsubscribeClients: (target, channel) => unsubscribe({ target, channel }),
    closeChannel: (channel, why) => close({ channel, why }),
    refresh: async (target, change = {}) => await refresh({ target, change: normalized(change) }),
    async stats(channel) {
      const { results, silent } = await stats({ channel });
      return { channels: merge(results.flat()), silent };
    },
  };
}

/** Adds up what the nodes tell of the same channels. Publications are not added: each node delivers all of them. */
function merge(all: readonly ChannelStats[]): ChannelStats[] {
  const byName = Map.groupBy(all, ({ channel }) => channel);
  return Array.from(byName, ([channel, [first, ...others]]) =>
    others.reduce((sum, each) => ({
      channel,
      subscribers: sum.subscribers + each.subscribers,
      callbacks: sum.callbacks + each.callbacks,
      publications: Math.max(sum.publications, each.publications),
      lastPublishedAt: Math.max(sum.lastPublishedAt ?? 0, each.lastPublishedAt ?? 0) || undefined,
    }), first!));
}

function isAlreadySubscribed(error: unknown): boolean {
  return error instanceof PlugboardError && error.code === "already_subscribed";
}

/** Checks the app's JSON texts and removes their line breaks. */
function normalized<Data extends SubscribeGrant & IdentityChange>(given: Data): Data {
  const texts = (["chanInfo", "data", "info"] as const).flatMap((name) =>
    given[name] === undefined ? [] : [[name, Payload.fromJson(given[name]).text]]
  );
  return { ...given, ...Object.fromEntries(texts) };
}
