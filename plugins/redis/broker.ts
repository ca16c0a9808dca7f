/**
 * The broker in Redis. A channel's history is a stream; publishing appends to it and announces the publication, in one
 * script. Nodes subscribe to the Redis channels of the channels they have members of.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type Clock, messageOf, PlugboardError } from "../../core/mod.ts";
import type {
  Announcement,
  Broker,
  BrokerEvents,
  BrokerHost,
  BrokerPublishOptions,
  Draft,
  Published,
} from "../channels.ts";
import { batches } from "./batches.ts";
import { decodePublication, encodeDraft, encodeOptions, splitMessage } from "./encoding.ts";
import { echoes } from "./echoes.ts";
import { historyReader } from "./history.ts";
import { type Argument, byteLength } from "./resp.ts";
import type { Servers } from "./servers.ts";
import type { Shard } from "./shard.ts";

/** What Redis channels of channels begin with. */
const CHANNEL = "channel:";
/** Stands for the offset in a message about a join or a leave. */
const PRESENCE = "presence";

/** A publication for the script. */
interface Sent {
  readonly keys: readonly string[];
  readonly body: Argument;
  readonly options: string;
}

/** What the script answers. */
interface PublishAnswer {
  readonly offset: number;
  readonly epoch: string;
  /** Why nothing was published. */
  readonly why: string;
}

/** Creates the broker. */
export function redisBroker(
  servers: Servers,
  { forgetAfterMs, clock }: { readonly forgetAfterMs: number; readonly clock: Clock | undefined },
): Broker {
  const node = crypto.randomUUID().slice(0, 13);
  const waiting = echoes();
  let lineages = 0;
  const senders = new Map<Shard, (publication: Sent, bytes: number) => Promise<PublishAnswer>>();
  /** The channels that this node is subscribed to, with their shards. */
  const subscribed = new Map<string, Shard>();
  let events: BrokerEvents | undefined;
  let host: BrokerHost | undefined;

  const time = () => clock === undefined ? "" : `${clock.wallTime()}`;
  const lineage = ({ generation: { run, continues } }: Shard) => [
    time(),
    run,
    continues ? "1" : "0",
    `${node}${lineages++}`,
    `${forgetAfterMs}`,
  ];

  /** Delivers a message; returns the number of receivers. */
  function deliver(
    channel: string,
    [, offset, time, epoch]: readonly string[],
    rest: Buffer,
    own: Draft | undefined,
  ): number {
    if (offset === PRESENCE) {
      events?.presence(channel, JSON.parse(rest.toString()) as Announcement);
      return 0;
    }
    const [position, published] = [Number(offset), Number(time)];
    if (!Number.isSafeInteger(position) || !Number.isSafeInteger(published)) throw new Error("not a node's");
    const publication = own === undefined
      ? decodePublication(rest, position, published)
      : { ...own, offset: position, time: published };
    return events?.publication(channel, publication, epoch!) ?? 0;
  }

  function message(name: string, bytes: Buffer): void {
    if (!name.startsWith(CHANNEL)) return;
    const { words, rest } = splitMessage(bytes);
    const [sender, id] = words[0]!.split("/");
    const echo = sender === node ? waiting.find(Number(id)) : undefined;
    let receivers = 0;
    try {
      receivers = deliver(name.slice(CHANNEL.length), words, rest, echo?.draft);
    } catch (error) {
      host?.log.error("a message from Redis was not delivered", { error: messageOf(error) });
    }
    if (echo !== undefined) waiting.settle(echo, receivers);
  }

  servers.each((shard) => {
    shard.own({
      message,
      down: () => waiting.giveUp((channel) => subscribed.get(channel) === shard),
      back() {
        for (const [channel, its] of subscribed) if (its === shard) events?.interrupted(channel);
      },
    });
    senders.set(shard, batches<Sent, PublishAnswer>((all) => send(shard, all), shard.load));
  });

  /** Sends publications to a shard. */
  async function send(shard: Shard, publications: readonly Sent[]): Promise<readonly PublishAnswer[]> {
    const all = ["epoch"];
    const args: Argument[] = [...lineage(shard), shard.prefix];
    for (const { keys, body, options } of publications) {
      all.push(...keys);
      args.push(body, options);
    }
    const answers = await shard.run("publish", all, args) as readonly Buffer[];
    return answers.map((answer) => {
      const [offset, epoch, ...why] = answer.toString().split(" ");
      return { offset: Number(offset), epoch: epoch!, why: why.join(" ") };
    });
  }

  async function publish(channel: string, draft: Draft, options: BrokerPublishOptions): Promise<Published> {
    const shard = servers.of(channel);
    const body = encodeDraft(draft);
    const echo = subscribed.has(channel) ? waiting.expect(channel, draft) : undefined;
    try {
      const keys = [`meta:${channel}`];
      if (options.keep !== undefined) keys.push(`stream:${channel}`);
      if (options.repeatable !== undefined) keys.push(`key:${options.repeatable.key}`);
      const sent = { keys, body, options: `${node}/${echo?.id ?? 0} ${encodeOptions(options)}` };
      const { offset, epoch, why } = await senders.get(shard)!(sent, byteLength(body));
      if (why.startsWith("error ")) {
        throw new PlugboardError("unavailable", `Redis answered: ${why.slice(6)}`);
      }
      if (why !== "") {
        return { offset, epoch, receivers: 0, suppressed: why as "idempotency" | "version" };
      }
      // The message came before the answer, unless the connection was replaced.
      return { offset, epoch, receivers: echo && (echo.receivers ?? await waiting.receivers(echo)) || 0 };
    } finally {
      if (echo !== undefined) waiting.end(echo);
    }
  }

  return {
    start(given, its) {
      events = given;
      host = its;
    },
    stop() {
      events = undefined;
    },
    publish,
    async announce(channel, announcement) {
      const shard = servers.of(channel);
      const body = JSON.stringify(announcement);
      const echo = subscribed.has(channel) ? waiting.expect(channel) : undefined;
      try {
        await shard.publish(CHANNEL + channel, `${node}/${echo?.id ?? 0} ${PRESENCE}\n${body}`);
        if (echo !== undefined) await waiting.receivers(echo);
      } finally {
        if (echo !== undefined) waiting.end(echo);
      }
    },
    async subscribe(channel) {
      const shard = servers.of(channel);
      await shard.subscribe(CHANNEL + channel);
      subscribed.set(channel, shard);
    },
    async unsubscribe(channel) {
      subscribed.delete(channel);
      waiting.giveUp((each) => each === channel);
      await servers.of(channel).unsubscribe(CHANNEL + channel);
    },
    history: historyReader(servers, lineage),
    async removeHistory(channel) {
      const shard = servers.of(channel);
      await shard.send(["DEL", `${shard.prefix}stream:${channel}`]);
    },
  };
}
