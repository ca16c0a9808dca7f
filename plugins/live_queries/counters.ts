import { type Metrics, SECONDS } from "../shared/metrics.ts";

/** Registers what live queries count. */
export function countersIn(metrics: Metrics, size: () => number) {
  metrics.gauge("plugboard_live_queries", "Live queries with different parameters", size);
  return {
    wakes: metrics.counter("plugboard_live_query_wakes_total", "Live queries woken by writes"),
    diffs: metrics.counter("plugboard_live_query_diffs_total", "Changes of results that were published"),
    runs: metrics.histogram("plugboard_live_query_run_seconds", "Time of a run", SECONDS),
  };
}
