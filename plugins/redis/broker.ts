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
  History,
  HistoryQuery,
  Published,
  Retention,
} from "../channels.ts";
import { batches } from "./batches.ts";
import { decodePublication, encodeDraft, splitMessage } from "./encoding.ts";
import { continuesFrom, epochOf } from "./generation.ts";
import { echoes } from "./echoes.ts";
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
  readonly args: readonly Argument[];
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
  function deliver(channel: string, [, offset, time, epoch]: readonly string[], rest: Buffer): number {
    if (offset === PRESENCE) {
      events?.presence(channel, JSON.parse(rest.toString()) as Announcement);
      return 0;
    }
    return events?.publication(channel, decodePublication(rest, Number(offset), Number(time)), epoch!) ?? 0;
  }

  function message(name: string, bytes: Buffer): void {
    if (!name.startsWith(CHANNEL)) return;
    const { words, rest } = splitMessage(bytes);
    const [sender, id] = words[0]!.split("/");
    let receivers = 0;
    try {
      receivers = deliver(name.slice(CHANNEL.length), words, rest);
    } catch (error) {
      host?.log.error("a message from Redis was not delivered", { error: messageOf(error) });
    }
    if (sender === node) waiting.settle(Number(id), receivers);
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

  /** Sends something that comes back to this node if it is subscribed; resolves when it has. */
  async function echoed<T>(
    channel: string,
    send: (id: string) => Promise<T>,
    isSent: (result: T) => boolean,
  ): Promise<{ result: T; receivers: number }> {
    const echo = subscribed.has(channel) ? waiting.expect(channel) : undefined;
    try {
      const result = await send(`${node}/${echo?.id ?? 0}`);
      return { result, receivers: echo !== undefined && isSent(result) ? await echo.receivers : 0 };
    } finally {
      echo?.end();
    }
  }

  /** Sends publications to a shard. */
  async function send(shard: Shard, publications: readonly Sent[]): Promise<readonly PublishAnswer[]> {
    const keys = ["epoch"];
    const args: Argument[] = lineage(shard);
    for (const publication of publications) {
      keys.push(...publication.keys);
      args.push(...publication.args);
    }
    const answers = await shard.run("publish", keys, args) as readonly Buffer[];
    return answers.map((answer) => {
      const [offset, epoch, ...why] = answer.toString().split(" ");
      return { offset: Number(offset), epoch: epoch!, why: why.join(" ") };
    });
  }

  async function publish(
    channel: string,
    draft: Draft,
    { keep, version, repeatable }: BrokerPublishOptions,
  ): Promise<Published> {
    const shard = servers.of(channel);
    const body = encodeDraft(draft);
    const sent = (id: string): Sent => ({
      keys: [`meta:${channel}`, `stream:${channel}`, `key:${repeatable?.key ?? ""}`],
      args: [
        `${shard.prefix}${CHANNEL}${channel}`,
        body,
        `${id} ${keep?.size ?? ""} ${keep?.ageMs ?? ""}`,
        version === undefined && repeatable === undefined
          ? ""
          : `${version?.number ?? ""} ${repeatable?.ttlMs ?? ""} ${version?.epoch ?? ""}`,
      ],
    });
    const { result: { offset, epoch, why }, receivers } = await echoed(
      channel,
      (id) => senders.get(shard)!(sent(id), byteLength(body)),
      ({ why }) => why === "",
    );
    if (why.startsWith("error ")) throw new PlugboardError("unavailable", `Redis answered: ${why.slice(6)}`);
    return {
      offset,
      epoch,
      receivers,
      ...(why !== "" && { suppressed: why as "idempotency" | "version" }),
    };
  }

  async function history(channel: string, query: HistoryQuery, keep: Retention): Promise<History> {
    const shard = servers.of(channel);
    const { since, reverse = false } = query;
    const limit = reverse && since !== undefined && since.offset <= 1 ? 0 : query.limit;
    const answer = await shard.run("history", [`meta:${channel}`, `stream:${channel}`, "epoch"], [
      ...lineage(shard),
      `${keep.ageMs}`,
      `${keep.size}`,
      since === undefined || reverse ? "0" : `${since.offset}`,
      since === undefined || !reverse ? "" : `${since.offset}`,
      reverse ? "1" : "0",
      limit === undefined || limit === Infinity ? "" : `${limit}`,
    ]) as [Buffer, Buffer, Buffer, Buffer, [Buffer, Buffer[]][]];
    const [base, run, earlier, top] = answer.slice(0, 4).map(String) as [string, string, string, string];
    const epoch = epochOf({ base, run });
    const other = since !== undefined && since.epoch !== "" && since.epoch !== epoch;
    const continued = other && continuesFrom({ base, run, earlier }, since);
    const publications = other && !continued
      ? []
      : answer[4].map(([id, [, time, , body]]) =>
        decodePublication(body!, Number.parseInt(String(id)), Number(time))
      );
    return { publications, top: { offset: Number(top), epoch }, ...(continued && { continued }) };
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
      const send = (id: string) => shard.publish(CHANNEL + channel, `${id} ${PRESENCE}\n${body}`);
      await echoed(channel, send, () => true);
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
    history,
    async removeHistory(channel) {
      const shard = servers.of(channel);
      await shard.send(["DEL", `${shard.prefix}stream:${channel}`]);
    },
  };
}
