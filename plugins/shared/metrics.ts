/**
 * Metrics: counters, gauges and histograms in Prometheus' text format.
 *
 * A registry is a value: `main.ts` creates one and passes it to the plugins that count something. The number of label
 * values per metric is bounded, whatever clients send.
 *
 * @module
 */

/** A number that only grows. Label values are in the order of the label names. */
export interface Counter {
  /** Adds an amount. */
  add(amount: number, ...labels: readonly string[]): void;
  /** Returns the value for these labels, or the sum over all. */
  value(...labels: readonly string[]): number;
}

/** The distribution of a quantity. */
export interface Histogram {
  /** Records an observation. */
  observe(value: number, ...labels: readonly string[]): void;
  /** Returns the number of observations. */
  count(...labels: readonly string[]): number;
  /** Returns the sum of the observations. */
  sum(...labels: readonly string[]): number;
  /** Estimates a quantile over all labels from the buckets; 0 without observations. */
  quantile(q: number): number;
  /** Returns the observations of each bucket over all labels. The last number counts those above all bounds. */
  buckets(): number[];
}

/** Creates metrics. */
export interface Metrics {
  /** Creates a counter. Its name ends in `_total`. */
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  /** Creates a histogram with these upper bounds, ascending. */
  histogram(name: string, help: string, bounds: readonly number[], labels?: readonly string[]): Histogram;
  /** Creates a gauge. It is read with the metrics: one number, or one for each set of label values. */
  gauge(
    name: string,
    help: string,
    read: () => number | Iterable<readonly [readonly string[], number]>,
    labels?: readonly string[],
  ): void;
}

/** A registry of metrics. */
export interface MetricsRegistry extends Metrics {
  /** Returns all metrics in Prometheus' text format, version 0.0.4. */
  render(): string;
  /** Returns the values of counters and gauges and the counts of histograms, each summed over its labels. */
  totals(): Record<string, number>;
  /** Returns the values of a counter or gauge for each set of label values; none for an unknown name. */
  values(name: string): readonly (readonly [labels: readonly string[], value: number])[];
}

/** Histogram bounds for times in seconds, from 0.1 ms to 10 s. */
export const SECONDS: readonly number[] = [
  ...[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
];

/** Maximum sets of label values per metric. Further ones are counted together as `other`. */
const MAX_SERIES = 100;

/** A registered metric. */
interface Metric {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  lines(name: string): Iterable<string>;
  total(): number;
  values(): Iterable<readonly [labels: readonly string[], value: number]>;
}

/** The values of a metric by label values. */
class Series<T> {
  readonly #labels: readonly string[];
  readonly #create: () => T;
  readonly #values = new Map<string, readonly [labels: readonly string[], value: T]>();

  constructor(labels: readonly string[], create: () => T) {
    this.#labels = labels;
    this.#create = create;
    if (labels.length === 0) this.of([]); // a metric without labels is 0 before its first use
  }

  /** Returns the value for these labels. Creates it on first use. */
  of(labels: readonly string[]): T {
    const key = labels.length === 1 ? labels[0]! : labels.join("\0");
    const found = this.#values.get(key);
    if (found !== undefined) return found[1];
    const other = this.#labels.map(() => "other");
    if (this.#values.size >= MAX_SERIES && key !== other.join("\0")) return this.of(other);
    const value = this.#create();
    this.#values.set(key, [labels, value]);
    return value;
  }

  /** Returns the values for these labels, or all. Creates none. */
  find(labels: readonly string[]): T[] {
    if (labels.length === 0) return Array.from(this.#values.values(), ([, value]) => value);
    const found = this.#values.get(labels.join("\0"));
    return found === undefined ? [] : [found[1]];
  }

  entries(): Iterable<readonly [labels: readonly string[], value: T]> {
    return this.#values.values();
  }

  *rendered(): Iterable<readonly [labels: string, value: T]> {
    for (const [labels, value] of this.#values.values()) yield [renderLabels(this.#labels, labels), value];
  }
}

/** The buckets of one histogram series. */
interface Buckets {
  readonly counts: number[];
  sum: number;
  count: number;
}

/**
 * Creates an empty registry.
 *
 * ```ts
 * import { metricsRegistry } from "@plugboard/server/stats";
 *
 * const metrics = metricsRegistry();
 * const orders = metrics.counter("shop_orders_total", "Orders", ["country"]);
 * orders.add(1, "de");
 * ```
 */
export function metricsRegistry(): MetricsRegistry {
  const metrics = new Map<string, Metric>();

  function register(name: string, metric: Metric): void {
    if (metrics.has(name)) throw new Error(`The metric ${name} exists already`);
    metrics.set(name, metric);
  }

  return {
    counter(name, help, labels = []) {
      const series = new Series(labels, () => ({ value: 0 }));
      const value = (...labels: readonly string[]) => sumOf(series.find(labels), ({ value }) => value);
      register(name, {
        kind: "counter",
        help,
        total: value,
        values: () => Array.from(series.entries(), ([labels, { value }]) => [labels, value] as const),
        *lines(name) {
          for (const [labels, { value }] of series.rendered()) yield `${name}${labels} ${value}`;
        },
      });
      return { value, add: (amount, ...labels) => void (series.of(labels).value += amount) };
    },

    histogram(name, help, bounds, labels = []) {
      const series = new Series<Buckets>(labels, () => ({ counts: bounds.map(() => 0), sum: 0, count: 0 }));
      const count = (...labels: readonly string[]) => sumOf(series.find(labels), ({ count }) => count);
      function bucketsOf(): number[] {
        const all = series.find([]);
        const inside = bounds.map((_, i) => sumOf(all, ({ counts }) => counts[i]!));
        return [...inside, count() - sumOf(inside, (each) => each)];
      }
      register(name, {
        kind: "histogram",
        help,
        total: count,
        values: () => [],
        *lines(name) {
          for (const [labels, { counts, sum, count }] of series.rendered()) {
            const prefix = labels === "" ? "{" : `${labels.slice(0, -1)},`;
            let cumulative = 0;
            for (const [i, bound] of bounds.entries()) {
              yield `${name}_bucket${prefix}le="${bound}"} ${cumulative += counts[i]!}`;
            }
            yield `${name}_bucket${prefix}le="+Inf"} ${count}`;
            yield `${name}_sum${labels} ${sum}`;
            yield `${name}_count${labels} ${count}`;
          }
        },
      });
      return {
        observe(value, ...labels) {
          const buckets = series.of(labels);
          const index = bounds.findIndex((bound) => value <= bound);
          if (index >= 0) buckets.counts[index]!++;
          buckets.sum += value;
          buckets.count++;
        },
        count,
        sum: (...labels) => sumOf(series.find(labels), ({ sum }) => sum),
        quantile: (q) => quantileOf(bounds, bucketsOf(), q),
        buckets: bucketsOf,
      };
    },

    gauge(name, help, read, labels = []) {
      const values = (): Iterable<readonly [readonly string[], number]> => {
        const current = read();
        return typeof current === "number" ? [[[], current]] : current;
      };
      register(name, {
        // A gauge that reads another counter has a counter's name.
        kind: name.endsWith("_total") ? "counter" : "gauge",
        help,
        total: () => sumOf(values(), ([, value]) => value),
        values,
        *lines(name) {
          for (const [each, value] of values()) yield `${name}${renderLabels(labels, each)} ${value}`;
        },
      });
    },

    render() {
      const lines = Array.from(metrics, ([name, metric]) => [
        `# HELP ${name} ${metric.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
        `# TYPE ${name} ${metric.kind}`,
        ...metric.lines(name),
      ]);
      return lines.flat().join("\n") + "\n";
    },

    values: (name) => [...metrics.get(name)?.values() ?? []],

    totals: () =>
      Object.fromEntries(Array.from(metrics, ([name, { kind, total }]) => [
        kind === "histogram" ? `${name}_count` : name,
        total(),
      ])),
  };
}

function renderLabels(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return "";
  const escape = (value: string) =>
    value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
  return `{${names.map((name, i) => `${name}="${escape(values[i] ?? "")}"`).join()}}`;
}

/**
 * Estimates a quantile from the observations of each bucket, as {@linkcode Histogram.buckets} returns them: interpolates
 * within the bucket that contains it. 0 without observations.
 */
export function quantileOf(bounds: readonly number[], buckets: readonly number[], q: number): number {
  const rank = q * sumOf(buckets, (each) => each);
  if (rank === 0) return 0;
  let cumulative = 0;
  for (const [i, bound] of bounds.entries()) {
    const inside = buckets[i]!;
    if (cumulative + inside >= rank) {
      const from = i === 0 ? 0 : bounds[i - 1]!;
      return from + (bound - from) * (rank - cumulative) / inside;
    }
    cumulative += inside;
  }
  return bounds.at(-1)!;
}

function sumOf<T>(all: Iterable<T>, valueOf: (each: T) => number): number {
  let sum = 0;
  for (const each of all) sum += valueOf(each);
  return sum;
}
