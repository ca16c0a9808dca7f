/** Keeps a server busy in a closed loop, and measures it meanwhile. */

import { cpuSeconds, machineCpuSeconds } from "../os.ts";
import { StampedFrame } from "./frames.ts";
import { Histogram } from "./histogram.ts";
import { micros, type Swarm } from "./swarm.ts";

/** What to do for how long. */
export interface DriveOptions {
  /** The server's process. */
  readonly pid: number;
  /** What is sent; see {@linkcode Dialogue.message}. */
  readonly message: string;
  readonly payloadBytes: number;
  /** The first so many connections send. */
  readonly senders: number;
  /** Messages of one sender that may be on their way at once. */
  readonly inFlight: number;
  /** Deliveries each message leads to; it has arrived when all of them have. */
  readonly deliveries: number;
  /** Before the measurement begins: compilers need a while to find out what is hot. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** What happened while it was measured. */
export interface DriveResult {
  readonly seconds: number;
  readonly delivered: number;
  /** Deliveries that were still missing long after the end. */
  readonly lost: number;
  /** Connections that ended. */
  readonly closed: number;
  readonly serverCpuSeconds: number;
  readonly loadCpuSeconds: number;
  /** CPU time of everything else on the machine. */
  readonly otherCpuSeconds: number;
  /** In microseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** What a delivery may take when everything else is done. */
const STRAGGLERS_MS = 3_000;

/** Has the swarm send and receive, and measures. */
export function drive(swarm: Swarm, options: DriveOptions): DriveResult {
  const { senders, inFlight, deliveries, pid } = options;
  const frame = new StampedFrame(options.message, options.payloadBytes);
  const latencies = new Histogram();
  const missing = new Int32Array(senders);
  // One in flight means one: the next goes out when all of it has arrived. A larger window is kept full to the
  // delivery, so that the server's input never runs dry.
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
      // One message a turn: they reach the server spread out, as from many clients, not in bursts.
      swarm.poll(due.length > 0 ? 0 : 1);
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
    loadCpuSeconds: load,
    otherCpuSeconds: Math.max(0, after.machine - before.machine - server - load),
    p50: p50!,
    p99: p99!,
    p999: p999!,
  };
}

function usage(pid: number): { at: number; server: number; load: number; machine: number } {
  return {
    at: performance.now() / 1000,
    server: cpuSeconds(pid),
    load: cpuSeconds(Deno.pid),
    machine: machineCpuSeconds(),
  };
}
