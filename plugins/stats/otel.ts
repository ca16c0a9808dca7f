/**
 * The same numbers through OpenTelemetry, which the runtime exports when it was started with `OTEL_DENO=true`.
 *
 * @module
 */

import { type BatchObservableCallback, metrics as api } from "@opentelemetry/api";
import type { MetricsRegistry } from "../shared/metrics.ts";

/** Offers the total of every metric that there is by now; gives the function that ends it. */
export function exportByOpenTelemetry(registry: MetricsRegistry): () => void {
  const meter = api.getMeter("plugboard");
  const instruments = new Map(
    Object.keys(registry.totals()).map((name) => {
      const grows = name.endsWith("_total") || name.endsWith("_count");
      return [name, grows ? meter.createObservableCounter(name) : meter.createObservableGauge(name)];
    }),
  );
  const observe: BatchObservableCallback = (result) => {
    const totals = registry.totals();
    for (const [name, instrument] of instruments) result.observe(instrument, totals[name] ?? 0);
  };
  const observed = [...instruments.values()];
  meter.addBatchObservableCallback(observe, observed);
  return () => meter.removeBatchObservableCallback(observe, observed);
}
