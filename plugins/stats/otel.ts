/**
 * The same numbers through OpenTelemetry, which the runtime exports when it was started with `OTEL_DENO=true`.
 *
 * @module
 */

import { metrics as api, type ObservableResult } from "@opentelemetry/api";
import type { MetricsRegistry } from "../shared/metrics.ts";

/** Offers every metric as an observable of its total; gives the function that ends it. */
export function exportByOpenTelemetry(registry: MetricsRegistry): () => void {
  const meter = api.getMeter("plugboard");
  const ends = Object.keys(registry.totals()).map((name) => {
    const instrument = name.endsWith("_total")
      ? meter.createObservableCounter(name)
      : meter.createObservableGauge(name);
    const observe = (result: ObservableResult) => result.observe(registry.totals()[name] ?? 0);
    instrument.addCallback(observe);
    return () => instrument.removeCallback(observe);
  });
  return () => ends.forEach((end) => end());
}
