import { quantileOf, SECONDS } from "../shared/metrics.ts";
import type { Sample } from "./history.ts";

/** What charts show of one second. Rates are per second. */
export interface Figures {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Open connections. */
  readonly connections: number;
  /** Clients that have signed in. */
  readonly clients: number;
  /** Subscriptions of clients. */
  readonly subscriptions: number;
  /** Messages from clients. */
  readonly received: number;
  /** Frames to clients. */
  readonly sent: number;
  /** Publications. */
  readonly publishes: number;
  /** Publications times receivers. */
  readonly deliveries: number;
  /** Characters from clients. */
  readonly receivedChars: number;
  /** Characters to clients. */
  readonly sentChars: number;
  /** Median time from a publish call to the hand-over to the sockets, in milliseconds; 0 without publications. */
  readonly publishP50Ms: number;
  /** The same for all but one in a hundred publications. */
  readonly publishP99Ms: number;
  /** Longest delay of the event loop, in milliseconds. */
  readonly lagMs: number;
  /** Processor cores in use. */
  readonly cpu: number;
  /** Resident memory. */
  readonly memoryBytes: number;
  /** Heap in use. */
  readonly heapBytes: number;
  /** What was refused because of a limit. */
  readonly limited: number;
  /** HTTP requests that were refused. */
  readonly refused: number;
}

/** The figures of a second, from the samples before and after it. */
export function figuresOf(
  before: Sample,
  { time, totals }: Sample,
  { lagMs, latencies }: { readonly lagMs: number; readonly latencies: readonly number[] },
): Figures {
  const seconds = Math.max(0.001, (time - before.time) / 1000);
  const now = (name: string) => totals[name] ?? 0;
  const rate = (name: string) =>
    Math.max(0, round((now(name) - (before.totals[name] ?? now(name))) / seconds));
  const ms = (q: number) => round(quantileOf(SECONDS, latencies, q) * 1000);
  return {
    time,
    connections: now("plugboard_connections"),
    clients: now("plugboard_clients"),
    subscriptions: now("plugboard_subscriptions"),
    received: rate("plugboard_messages_received_total"),
    sent: rate("plugboard_frames_sent_total"),
    publishes: rate("plugboard_publishes_total"),
    deliveries: rate("plugboard_deliveries_total"),
    receivedChars: rate("plugboard_received_chars_total"),
    sentChars: rate("plugboard_sent_chars_total"),
    publishP50Ms: ms(0.5),
    publishP99Ms: ms(0.99),
    lagMs: round(lagMs),
    cpu: rate("process_cpu_seconds_total"),
    memoryBytes: now("process_resident_memory_bytes"),
    heapBytes: now("process_heap_bytes"),
    limited: rate("plugboard_rate_limited_total"),
    refused: rate("plugboard_refusals_total"),
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
