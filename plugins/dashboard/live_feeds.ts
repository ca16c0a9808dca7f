/**
 * The channels of the namespace `admin`. Each is a feed that runs only while it has subscribers on this node. Their names
 * begin with `$`, so that only permissions that name them, and `admin`, allow to subscribe.
 *
 * @module
 */

import { type Clock, type Log, messageOf, PlugboardError } from "../../core/mod.ts";
import type { Broker, BrokerEvents, Cluster, History } from "../channels.ts";
import type { Store } from "../persistence.ts";
import { Payload } from "../shared/payload.ts";
import { shownName } from "../shared/shown_name.ts";
import type { Figures, Stats } from "../stats.ts";
import type { Trace } from "../trace.ts";
import { FEEDS, type Send } from "./feed.ts";
import { tail, type TailTarget } from "./tail.ts";

/** What feeds read. */
export interface FeedParts {
  readonly stats: Pick<Stats, "onFigures" | "figures">;
  readonly trace: Pick<Trace, "follow"> | undefined;
  readonly store: Pick<Store, "watch"> | undefined;
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
}

/** The names of feeds. The last two are followed by `?` and what they are about. */
const FIGURES = `${FEEDS}figures`;
const TAIL = `${FEEDS}tail?`;
const TABLE = `${FEEDS}table?`;

const TOPIC = "dashboard.figures";

/** How long a node may take to tell its figures. */
const ANSWER_MS = 900;

/** A table that is written all the time is reported so often. */
const TABLE_MS = 250;

/** Answers the questions of other nodes. Returns the function that ends it. */
export function answerFigures({ cluster, stats, clock }: FeedParts): () => void {
  return cluster.on(TOPIC, () => stats.figures(clock.wallTime() - 1_500).at(-1) ?? null);
}

/** Carries the feeds to the subscribers of this node. */
export class LiveFeeds implements Broker {
  readonly #parts: FeedParts;
  /** The functions that end the feeds in use, by channel. */
  readonly #running = new Map<string, () => void>();
  #events: BrokerEvents | undefined;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  start(events: BrokerEvents): void {
    this.#events = events;
  }

  stop(): void {
    for (const channel of [...this.#running.keys()]) this.unsubscribe(channel);
  }

  subscribe(channel: string): void {
    if (this.#running.has(channel)) return;
    const { clock } = this.#parts;
    const send: Send = (value) => {
      const payload = Payload.fromValidJson(JSON.stringify(value));
      this.#events?.publication(channel, { payload, offset: 0, time: clock.wallTime() }, "");
    };
    const end = open(channel, send, this.#parts);
    this.#running.set(channel, end);
  }

  unsubscribe(channel: string): void {
    this.#running.get(channel)?.();
    this.#running.delete(channel);
  }

  publish(): never {
    throw new PlugboardError("permission_denied", "Only the server publishes to this channel");
  }

  announce(): void {}

  history(): History {
    return { publications: [], top: { offset: 0, epoch: "" } };
  }

  removeHistory(): void {}
}

/** Opens the feed of a channel. Returns the function that ends it. */
function open(channel: string, send: Send, parts: FeedParts): () => void {
  const after = (prefix: string) => channel.startsWith(prefix) ? channel.slice(prefix.length) : undefined;
  if (channel === FIGURES) return figures(send, parts);
  const [target, table] = [after(TAIL), after(TABLE)];
  if (target !== undefined && parts.trace !== undefined) {
    return tail(targetOf(target), send, { trace: parts.trace, clock: parts.clock });
  }
  if (table !== undefined && parts.store !== undefined) return changes(table, send, parts);
  throw new PlugboardError("unknown_channel", `Unknown channel: ${shownName(channel)}`);
}

function targetOf(text: string): TailTarget {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch { /* Refused below. */ }
  if (typeof given !== "object" || given === null) throw new PlugboardError("bad_request", "Invalid target");
  const { client, channel } = given as Record<string, unknown>;
  return {
    ...(typeof client === "string" && { client }),
    ...(typeof channel === "string" && { channel }),
  };
}

/** Sends the figures of all nodes, and the names of those that do not answer, each second. */
function figures(send: Send, { stats, cluster, clock, log }: FeedParts): () => void {
  let open = true;
  const ask = async (): Promise<void> => {
    const { answers, silent } = await cluster.ask(TOPIC, {}, { ms: ANSWER_MS });
    const nodes = (answers as readonly { node: string; answer: Figures | null }[]).flatMap(
      ({ node, answer }) => answer === null ? [] : [{ node, figures: answer }],
    );
    if (open) send({ nodes, ...(silent.length > 0 && { silent }), time: clock.wallTime() });
  };
  const end = stats.onFigures(() => {
    ask().catch((error) =>
      log.warn("the nodes were not asked for their figures", { error: messageOf(error) })
    );
  });
  return () => {
    open = false;
    end();
  };
}

/** Sends a message after changes of a table. */
function changes(table: string, send: Send, { store, clock }: FeedParts): () => void {
  let cancel: (() => void) | undefined;
  const watch = store!.watch(() => {
    cancel ??= clock.after(TABLE_MS, () => {
      cancel = undefined;
      send({ changed: table });
    });
  }, [table]);
  return () => {
    cancel?.();
    watch.stop();
  };
}
