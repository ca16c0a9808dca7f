/** Loads a server in a closed loop and measures it. */

import { cpuSeconds, machineCpuSeconds, mainThreadSeconds, treeCpuSeconds } from "../os.ts";
import { StampedFrame } from "./frames.ts";
import { Histogram } from "./histogram.ts";
import { micros, type Swarm } from "./swarm.ts";

/** Options of {@linkcode drive}. */
export interface DriveOptions {
  /** The server's process. */
  readonly pid: number;
  /** The message to send; see {@linkcode Dialogue.message}. */
  readonly message: string;
  readonly payloadBytes: number;
  /** The number of connections that send. */
  readonly senders: number;
  /** Maximum unanswered messages per sender. */
  readonly inFlight: number;
  /** Deliveries per message. A message has arrived when all of them have. */
  readonly deliveries: number;
  /** Time before the measurement, for the JIT compiler. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** The result of a measurement. */
export interface DriveResult {
  readonly seconds: number;
  readonly delivered: number;
  /** Deliveries that never arrived. */
  readonly lost: number;
  /** Connections that closed. */
  readonly closed: number;
  readonly serverCpuSeconds: number;
  /** The same for the server's main thread alone. */
  readonly mainCpuSeconds: number;
  readonly loadCpuSeconds: number;
  /** CPU time of everything else on the machine. */
  readonly otherCpuSeconds: number;
  /** In microseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** How long to wait for late deliveries at the end. */
const STRAGGLERS_MS = 3_000;

/**
 * Clients that are read between two messages. With all that are ready, which are hundreds when the server has more cores than
 * this process, fewer messages leave than arrive, and a window of 16 holds five.
 */
const READS_BETWEEN = 32;

/** Sends and receives with the swarm, and measures. */
export function drive(swarm: Swarm, options: DriveOptions): DriveResult {
  const { senders, inFlight, deliveries, pid } = options;
  const frame = new StampedFrame(options.message, options.payloadBytes, swarm.binary);
  const latencies = new Histogram();
  const missing = new Int32Array(senders);
  // With one in flight, the next message is sent when all deliveries have arrived. A larger window is refilled after each
  // delivery, so that the server always has input.
  const room = inFlight === 1 ? 0 : deliveries * inFlight - 1;
  const due = Array.from({ length: senders }, (_, sender) => sender);
  let delivered = 0;

  swarm.heard = (sentAt, sender, now) => {
    latencies.record(now - sentAt);
    delivered++;
    if (--missing[sender]! === room) due.push(sender);
  };
  const runUntil = (end: number) => {
    while (performance.now() < end) {
      const sender = due.shift();
      if (sender !== undefined) {
        swarm.send(sender, frame.stamp(micros(), sender));
        missing[sender]! += deliveries;
        if (missing[sender]! <= room) due.push(sender);
      }
      // One message per turn, so that they arrive evenly and not in bursts.
      if (due.length > 0) swarm.poll(0, READS_BETWEEN);
      else swarm.poll(1);
    }
  };

  runUntil(performance.now() + options.warmUpSeconds * 1000);
  latencies.clear();
  const before = { ...usage(pid), delivered };
  runUntil(performance.now() + options.seconds * 1000);
  const after = { ...usage(pid), delivered };
  const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => latencies.percentile(share));

  const stillMissing = () => missing.reduce((sum, count) => sum + count, 0);
  const deadline = performance.now() + STRAGGLERS_MS;
  while (stillMissing() > 0 && performance.now() < deadline) swarm.poll(5);

  const server = after.server - before.server;
  const load = after.load - before.load;
  return {
    seconds: after.at - before.at,
    delivered: after.delivered - before.delivered,
    lost: stillMissing(),
    closed: swarm.closed,
    serverCpuSeconds: server,
    mainCpuSeconds: after.main - before.main,
    loadCpuSeconds: load,
    otherCpuSeconds: Math.max(0, after.machine - before.machine - server - load),
    p50: p50!,
    p99: p99!,
    p999: p999!,
  };
}

function usage(pid: number): { at: number; server: number; main: number; load: number; machine: number } {
  return {
    at: performance.now() / 1000,
    server: treeCpuSeconds(pid),
    main: mainThreadSeconds(pid),
    load: cpuSeconds(Deno.pid),
    machine: machineCpuSeconds(),
  };
}
