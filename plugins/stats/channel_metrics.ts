/**
 * What the channels report to the metrics, by namespace and never by channel.
 *
 * @module
 */

import type { Channels, Draft } from "../channels.ts";
import { type Histogram, type Metrics, SECONDS } from "../shared/metrics.ts";

/** What is measured of the channels. */
export interface ChannelMetrics {
  /** Seconds from the publish call to the socket's send, once for each publication. */
  readonly latency: Histogram;
  /** Ends the measuring. */
  end(): void;
}

/** Counts publications, deliveries, subscriptions and recoveries. */
export function measureChannels(metrics: Metrics, channels: Channels): ChannelMetrics {
  const publishes = metrics.counter("plugboard_publishes_total", "Publications from this node", [
    "namespace",
  ]);
  const deliveries = metrics.counter("plugboard_deliveries_total", "Publications times receivers", [
    "namespace",
  ]);
  const subscribes = metrics.counter("plugboard_subscribes_total", "Subscriptions that began", ["namespace"]);
  const unsubscribes = metrics.counter("plugboard_unsubscribes_total", "Subscriptions that ended", [
    "namespace",
  ]);
  const recoveries = metrics.counter("plugboard_recoveries_total", "Clients that came back for more", [
    "result",
  ]);
  const latency = metrics.histogram(
    "plugboard_publish_latency_seconds",
    "From the publish call to the hand-over to the sockets",
    SECONDS,
  );
  metrics.gauge("plugboard_clients", "Connections that have signed in", () => channels.clients.size);
  metrics.gauge(
    "plugboard_subscriptions",
    "Subscriptions of clients",
    () => subscribes.value() - unsubscribes.value(),
  );

  const begun = new WeakMap<Draft, number>();
  /** When the publications that leave at the end of this turn were asked for. */
  let turn: number[] = [];
  function measure(): void {
    const sent = performance.now();
    for (const asked of turn) latency.observe((sent - asked) / 1000);
    turn = [];
  }

  const namespaceOf = (channel: string) => channels.namespaceOf(channel).name;
  const end = channels.extend({
    name: "stats",
    beforePublish: (_channel, draft) => void begun.set(draft, performance.now()),
    published(channel, draft) {
      publishes.add(1, namespaceOf(channel));
      // The outbox asked for the end of this turn before: when this one runs, all of it was sent.
      if (turn.push(begun.get(draft)!) === 1) setImmediate(measure);
    },
    delivered: (channel, _publication, receivers) => void deliveries.add(receivers, namespaceOf(channel)),
    joined: (_client, { channel }) => void subscribes.add(1, namespaceOf(channel)),
    left: (_client, { channel }) => void unsubscribes.add(1, namespaceOf(channel)),
    recovered: (_client, _channel, complete) => void recoveries.add(1, complete ? "done" : "impossible"),
  });
  return { latency, end };
}
