/**
 * What the process uses, under the names that Prometheus' own clients give it.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import type { Metrics } from "../shared/metrics.ts";

/** Adds memory, processor time and the start time. */
export function measureProcess(metrics: Metrics): void {
  const startedAt = (Date.now() - performance.now()) / 1000;
  metrics.gauge("process_resident_memory_bytes", "Resident memory", () => Deno.memoryUsage().rss);
  metrics.gauge("process_heap_bytes", "Heap in use", () => Deno.memoryUsage().heapUsed);
  metrics.gauge("process_start_time_seconds", "Start of the process, in seconds since 1970", () => startedAt);
  metrics.gauge("process_cpu_seconds_total", "Processor time", () => {
    const { user, system } = cpuUsage();
    return (user + system) / 1e6;
  });
}
