import { type BatchObservableCallback, metrics as api } from "@opentelemetry/api";
import type { MetricsRegistry } from "../shared/metrics.ts";

/**
 * Exports the total of every metric registered so far through OpenTelemetry: the runtime sends them with
 * `OTEL_DENO=true`. Returns a function that stops it.
 */
export function exportByOpenTelemetry(registry: MetricsRegistry): () => void {
  const meter = api.getMeter("plugboard");
  const instruments = new Map(
    Object.keys(registry.totals()).map((name) => {
      const isCounter = name.endsWith("_total") || name.endsWith("_count");
      return [name, isCounter ? meter.createObservableCounter(name) : meter.createObservableGauge(name)];
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
