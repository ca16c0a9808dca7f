/**
 * Webhooks: your backend hears what happens, in signed requests.
 *
 * Each receiver has a queue. Its events are sent in order, one request after the other, and repeated until they are
 * accepted. With a store, what was accepted survives a restart, and arrives at least once. Requests are signed by the
 * convention of [Standard Webhooks](https://www.standardwebhooks.com), whose libraries verify them.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { webhooks } from "@plugboard/server/webhooks";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels());
 * const hooks = server.use(webhooks({
 *   channels: bus,
 *   receivers: [{
 *     name: "shop",
 *     url: "http://127.0.0.1:8000/events",
 *     secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
 *     events: ["connect", "disconnect", "publish"],
 *   }],
 * }));
 * console.log(hooks.stats()); // [{ name: "shop", queued: 0, deadLetters: 0, dropped: 0 }]
 * ```
 *
 * @module
 */

import { built, checkOptions, type Host, PlugboardError, type Plugin, systemClock } from "../core/mod.ts";
import type { Access } from "./auth.ts";
import type { Channels } from "./channels.ts";
import type { Store } from "./persistence.ts";
import type { Presence } from "./presence.ts";
import { isHttpUrl, shownUrl } from "./shared/http_url.ts";
import type { Metrics } from "./shared/metrics.ts";
import { MemoryQueue } from "./webhooks/queue.ts";
import { type CountEvents, Receiver } from "./webhooks/receiver.ts";
import { secretBytes } from "./webhooks/signature.ts";
import { type Choice, sources } from "./webhooks/sources.ts";
import { prepareQueues, StoredQueue, storedReceivers } from "./webhooks/stored_queue.ts";
import type { Occupancy, WebhookEvent, WebhookOptions, Webhooks } from "./webhooks/types.ts";

export type * from "./webhooks/types.ts";

/** Options of {@linkcode webhooks}. */
export interface WebhooksOptions {
  /** The URLs that get events. */
  receivers: readonly WebhookOptions[];
  /** The channels whose events are sent. */
  channels?: Pick<Channels, "extend" | "namespaceOf">;
  /** Whose sign-ins are sent as `connect`; without it, every connection. */
  access?: Pick<Access, "onSignedIn">;
  /** The presence whose changes are sent. */
  presence?: Pick<Presence, "listen">;
  /** Knows which channels have subscribers on any node. @default {this node alone} */
  occupancy?: Occupancy;
  /** Stores events until they are delivered. @default {in memory: a restart loses them} */
  store?: Pick<Store, "all" | "get" | "write" | "migrate">;
  /** Counts events. */
  metrics?: Pick<Metrics, "counter" | "gauge">;
}

const EVENTS: readonly WebhookEvent[] = [
  "connect",
  "disconnect",
  "subscribe",
  "unsubscribe",
  "publish",
  "occupied",
  "vacated",
  "presence",
  "cache_miss",
];

const DEFAULT_EVENTS = EVENTS.filter((event) => !["publish", "presence", "cache_miss"].includes(event));

/** Sends events to your backend. */
export function webhooks(options: WebhooksOptions): Plugin<Webhooks> {
  const { channels, access, presence, occupancy, store, metrics } = options;
  const events = metrics?.counter(
    "plugboard_webhook_events_total",
    "Events of webhooks that were delivered, became dead letters, or were dropped",
    ["receiver", "result"],
  );
  let host: Host | undefined;
  let release: (() => void)[] = [];

  let choices: readonly Choice[] = [];
  let receivers: ReadonlyMap<string, Receiver> = new Map();
  const stopping = new Set<Promise<void>>();

  /** Checks receivers. Returns the function that makes them the current ones. */
  function replaceWith(given: readonly WebhookOptions[]): () => void {
    const next = given.map((each) => prepare(each, store, events));
    const named = new Map(next.map((choice) => [choice.receiver.options.name, choice]));
    checkOptions("webhooks").that(
      named.size === next.length,
      "receivers",
      "a list with different names",
      `${next.length} receivers with ${named.size} names`,
    );
    return () => {
      const before = receivers;
      choices = next.map((choice) => {
        const { options } = choice.receiver;
        const kept = before.get(options.name);
        if (kept !== undefined) kept.options = options;
        return kept === undefined ? choice : { ...choice, receiver: kept };
      });
      receivers = new Map(choices.map(({ receiver }) => [receiver.options.name, receiver]));
      for (const [name, receiver] of receivers) {
        if (host !== undefined && !before.has(name)) open(receiver, host);
      }
      for (const [name, receiver] of before) {
        if (receivers.has(name)) continue;
        const stopped = receiver.stop().finally(() => stopping.delete(stopped));
        stopping.add(stopped);
      }
    };
  }

  function open(receiver: Receiver, host: Host): void {
    if (receiver.queue instanceof StoredQueue) receiver.queue.load();
    receiver.start(host);
  }

  replaceWith(options.receivers)();
  for (const which of ["queued", "dead"] as const) {
    metrics?.gauge(
      which === "queued" ? "plugboard_webhook_queued" : "plugboard_webhook_dead_letters",
      which === "queued" ? "Events that wait for a receiver" : "Events that were not delivered",
      () => Array.from(receivers, ([name, { queue }]) => [[name], queue[which].count] as const),
      ["receiver"],
    );
  }
  const from = sources({
    choices: () => choices,
    now: () => (host?.clock ?? systemClock).wallTime(),
    namespaceOf: (channel) => channels!.namespaceOf(channel),
    occupancy,
  });

  function receiverOf(name: string): Receiver {
    const found = receivers.get(name);
    if (found === undefined) {
      throw new PlugboardError("bad_request", `Unknown receiver ${JSON.stringify(name)}`);
    }
    return found;
  }

  return built({
    name: "webhooks",
    api: {
      prepare: replaceWith,
      stats: () =>
        Array.from(receivers, ([name, { queue, dropped }]) => {
          return { name, queued: queue.queued.count, deadLetters: queue.dead.count, dropped };
        }),
      deadLetters: (name, { after = 0, limit = 100 } = {}) =>
        receiverOf(name).queue.deadLetters(after, Math.min(limit, 1_000)).map(({ id, text, reason }) => {
          return { id, event: JSON.parse(text), reason };
        }),
      // `async`, so that an unknown name rejects.
      retry: async (name, ids) => await receiverOf(name).retry(ids),
      empty: async (name, ids) => await receiverOf(name).empty(ids),
    },
    async start(given) {
      host = given;
      if (store !== undefined) {
        await prepareQueues(store);
        for (const { receiver, events } of storedReceivers(store)) {
          if (receivers.has(receiver)) continue;
          given.log.warn(`${events} events are stored for the receiver ${receiver}, which is not configured`);
        }
      }
      const ends = [
        channels?.extend(from.extension),
        access?.onSignedIn((conn, { identity }) => from.connected(conn, identity.user)),
        presence?.listen((event) => from.present(event)),
      ];
      release = ends.flatMap((end) => end ?? []);
      for (const receiver of receivers.values()) open(receiver, given);
      occupancy?.start({ log: given.log, ...from.occupancy });
    },
    async stop() {
      for (const end of release.splice(0)) end();
      await occupancy?.stop();
      await Promise.all([...stopping, ...Array.from(receivers.values(), (receiver) => receiver.stop())]);
    },
    ...(access === undefined && { open: (conn) => from.connected(conn, undefined) }),
    close: (conn, why) => from.closed(conn, why),
  }, options);
}

function prepare(
  given: WebhookOptions,
  store: WebhooksOptions["store"],
  count: { add(amount: number, ...labels: string[]): void } | undefined,
): Choice {
  const { url, events = DEFAULT_EVENTS, namespaces, headers = {}, maxBatch = 100, batchMs = 100 } = given;
  const { timeoutMs = 10_000, giveUpMs = 86_400_000, name = shownUrl(url) } = given;
  const { maxQueued = store ? 100_000 : 10_000, maxDeadLetters = 10_000 } = given;
  const { maxChars = store ? 67_108_864 : 16_777_216 } = given;
  const check = checkOptions("webhooks");
  // Not the values of URLs, secrets and headers: they would be in the log.
  check.that(isHttpUrl(url), "url", "an http or https URL without a user name", "something else");
  check.filled("name", name);
  for (
    const [option, value] of Object.entries({ maxBatch, timeoutMs, maxQueued, maxDeadLetters, maxChars })
  ) {
    check.positiveInteger(option, value);
  }
  check.wholeNumber("batchMs", batchMs);
  check.wholeNumber("giveUpMs", giveUpMs);
  for (const event of events) check.oneOf("events", event, EVENTS);
  const secrets = given.secrets.map((secret) => secretBytes(secret));
  const valid = secrets.length > 0 && secrets.every((secret) => secret !== undefined);
  check.that(valid, "secrets", "a list of whsec_ and at least 24 bytes in base64", "something else");
  try {
    new Headers(headers);
  } catch {
    check.that(false, "headers", "valid headers", "something else");
  }
  const counted: CountEvents = (amount, result) => count?.add(amount, name, result);
  const limits = { maxBatch, batchMs, timeoutMs, giveUpMs, maxQueued, maxDeadLetters, maxChars };
  const queue = store === undefined ? new MemoryQueue() : new StoredQueue(store, name);
  return {
    receiver: new Receiver(
      { name, url, secrets: secrets as Uint8Array[], headers, ...limits },
      queue,
      counted,
    ),
    events: new Set(events),
    namespaces: namespaces && new Set(namespaces),
  };
}
