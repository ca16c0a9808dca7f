import { cpuUsage } from "node:process";
import type { Host, Plugin } from "../../core/mod.ts";
import type { ChannelExtension, Channels } from "../channels.ts";
import { type Metrics, SECONDS } from "../shared/metrics.ts";

/** How often the lag of the event loop is sampled. */
const LAG_STEP_MS = 100;

/**
 * Creates the metrics of the server: connections, channels, the event loop and the process. Channels are counted by
 * namespace, never by name, to bound the number of series. `latency` is the time from a publish call to the hand-over
 * to the sockets; `start` samples the event loop and returns a function that stops it; `takeLag` returns its longest lag.
 */
export function measure(metrics: Metrics, channels: Pick<Channels, "clients">) {
  const [protocol, namespace] = [["protocol"], ["namespace"]];
  let host: Host | undefined;
  let longestLagMs = 0;

  const connects = metrics.counter("plugboard_connects_total", "Connections opened", protocol);
  const ends = metrics.counter("plugboard_disconnects_total", "Connections closed", ["protocol", "code"]);
  const refusals = metrics.counter("plugboard_refusals_total", "HTTP requests refused", ["status"]);
  const received = metrics.counter("plugboard_messages_received_total", "Messages from clients", protocol);
  const chars = metrics.counter("plugboard_received_chars_total", "Size of messages from clients", protocol);
  const sent = (what: "frames" | "chars") => {
    // Endpoints on different listeners may have the same name.
    const sums = new Map<string, number>();
    for (const [{ name }, counts] of host?.sent ?? []) sums.set(name, (sums.get(name) ?? 0) + counts[what]);
    return Array.from(sums, ([name, sum]) => [[name], sum] as const);
  };
  metrics.gauge("plugboard_frames_sent_total", "Frames to clients", () => sent("frames"), protocol);
  metrics.gauge("plugboard_sent_chars_total", "Size of frames to clients", () => sent("chars"), protocol);
  metrics.gauge("plugboard_connections", "Open connections", () => {
    const groups = Map.groupBy(host?.connections ?? [], ({ endpoint }) => endpoint.name);
    return Array.from(groups, ([name, { length }]) => [[name], length] as const);
  }, protocol);

  metrics.gauge("plugboard_clients", "Clients that have signed in", () => channels.clients.size);
  const publishes = metrics.counter("plugboard_publishes_total", "Publications", namespace);
  const deliveries = metrics.counter("plugboard_deliveries_total", "Publications times receivers", namespace);
  const subscribes = metrics.counter("plugboard_subscribes_total", "Subscriptions begun", namespace);
  const unsubscribes = metrics.counter("plugboard_unsubscribes_total", "Subscriptions ended", namespace);
  const subscriptions = () => subscribes.value() - unsubscribes.value();
  metrics.gauge("plugboard_subscriptions", "Subscriptions of clients", subscriptions);
  const recoveries = metrics.counter("plugboard_recoveries_total", "Recoveries of clients", ["result"]);
  const help = "From the publish call to the hand-over to the sockets";
  const latency = metrics.histogram("plugboard_publish_latency_seconds", help, SECONDS);

  const lag = metrics.histogram("plugboard_event_loop_lag_seconds", "Delay of timers", SECONDS);
  const startedAt = (Date.now() - performance.now()) / 1000;
  metrics.gauge(
    "plugboard_memory_level",
    "0 enough, 1 refuses clients, 2 ends some",
    () => host?.memory.level ?? 0,
  );
  metrics.gauge("plugboard_memory_max_bytes", "Limit of the memory", () => host?.memory.maxBytes ?? 0);
  metrics.gauge("process_resident_memory_bytes", "Resident memory", () => Deno.memoryUsage().rss);
  metrics.gauge("process_heap_bytes", "Heap in use", () => Deno.memoryUsage().heapUsed);
  metrics.gauge("process_start_time_seconds", "Start of the process, seconds since 1970", () => startedAt);
  metrics.gauge("process_cpu_seconds_total", "CPU time", () => {
    const { user, system } = cpuUsage();
    return (user + system) / 1e6;
  });

  /** Start times of the publications that are sent at the end of this turn of the event loop. */
  let turn: number[] = [];
  function observeLatencies(): void {
    const sentAt = performance.now();
    for (const startedAt of turn) latency.observe((sentAt - startedAt) / 1000);
    turn = [];
  }

  const hooks: Pick<Plugin, "open" | "close" | "message"> = {
    open: ({ endpoint }) => void connects.add(1, endpoint.name),
    close: ({ endpoint }, { code }) => void ends.add(1, endpoint.name, String(code)),
    message({ endpoint }, data) {
      received.add(1, endpoint.name);
      chars.add(data.length, endpoint.name);
    },
  };
  const extension: ChannelExtension = {
    name: "stats",
    published({ namespace, startedAt }) {
      publishes.add(1, namespace.name);
      // The outbox has scheduled its flush before, so it has sent everything when this callback runs.
      if (turn.push(startedAt) === 1) setImmediate(observeLatencies);
    },
    delivered: ({ namespace }, _publication, receivers) => void deliveries.add(receivers, namespace.name),
    joined: (_client, { namespace }) => void subscribes.add(1, namespace.name),
    left: (_client, { namespace }) => void unsubscribes.add(1, namespace.name),
    recovered: (_client, _channel, complete) => void recoveries.add(1, complete ? "done" : "impossible"),
  };
  function start(given: Host): () => void {
    host = given;
    let expected = performance.now() + LAG_STEP_MS;
    return given.clock.every(LAG_STEP_MS, () => {
      const now = performance.now();
      const late = Math.max(0, now - expected);
      lag.observe(late / 1000);
      longestLagMs = Math.max(longestLagMs, late);
      expected = now + LAG_STEP_MS;
    });
  }
  /** Returns the longest lag since the last call. */
  function takeLag(): number {
    const longest = longestLagMs;
    longestLagMs = 0;
    return longest;
  }
  return {
    hooks,
    extension,
    latency,
    start,
    takeLag,
    refused: (status: number) => refusals.add(1, String(status)),
  };
}
