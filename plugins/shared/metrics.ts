/**
 * Metrics: counters, gauges and histograms, written in Prometheus' text format.
 *
 * A registry is a value: `main.ts` makes one and hands it to the plugins that count something. Every metric has a
 * bounded number of label values, whatever clients send.
 *
 * @module
 */

/** A number that only grows. Values of its labels are given in the order of their names. */
export interface Counter {
  /** Adds to it. */
  add(amount: number, ...labels: readonly string[]): void;
  /** The sum over all labels, or the value of some. */
  value(...labels: readonly string[]): number;
}

/** How a quantity is distributed. */
export interface Histogram {
  /** Counts one observation. */
  observe(value: number, ...labels: readonly string[]): void;
  /** How many there were. */
  count(...labels: readonly string[]): number;
  /** Their sum. */
  sum(...labels: readonly string[]): number;
  /** An estimate of a quantile over all labels, from the buckets; 0 without observations. */
  quantile(q: number): number;
}

/** What plugins report to. */
export interface Metrics {
  /** Makes a counter; its name ends in `_total`. */
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  /** Makes a histogram with these upper bounds, ascending. */
  histogram(name: string, help: string, bounds: readonly number[], labels?: readonly string[]): Histogram;
  /** Makes a gauge, which is read when somebody looks: a number, or one for each set of label values. */
  gauge(
    name: string,
    help: string,
    read: () => number | Iterable<readonly [readonly string[], number]>,
    labels?: readonly string[],
  ): void;
}

/** A registry of metrics. */
export interface MetricsRegistry extends Metrics {
  /** Everything, in Prometheus' text format, version 0.0.4. */
  render(): string;
  /** The numbers of counters and gauges, and how often each histogram observed; all summed over their labels. */
  totals(): Record<string, number>;
}

/** Bounds for times in seconds, from a tenth of a millisecond to ten seconds. */
export const SECONDS: readonly number[] = [
  ...[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
];

/** Sets of label values a metric may have; further ones are counted together as `other`. */
const MAX_SERIES = 100;

/** One metric that can be written. */
interface Metric {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  lines(name: string): Iterable<string>;
  total(): number;
}

/** Values by label values, bounded. */
class Series<T> {
  readonly #labels: readonly string[];
  readonly #make: () => T;
  readonly #values = new Map<string, readonly [readonly string[], T]>();

  constructor(labels: readonly string[], make: () => T) {
    this.#labels = labels;
    this.#make = make;
  }

  of(values: readonly string[]): T {
    const key = values.length === 1 ? values[0]! : values.join("\u0000");
    const found = this.#values.get(key);
    if (found !== undefined) return found[1];
    const other = this.#labels.map(() => "other");
    if (this.#values.size >= MAX_SERIES && key !== other.join("\u0000")) return this.of(other);
    const made = this.#make();
    this.#values.set(key, [values, made]);
    return made;
  }

  peek(values: readonly string[]): T | undefined {
    return this.#values.get(values.join("\u0000"))?.[1];
  }

  *all(): Iterable<T> {
    for (const [, value] of this.#values.values()) yield value;
  }

  *written(): Iterable<readonly [string, T]> {
    for (const [values, value] of this.#values.values()) yield [writeLabels(this.#labels, values), value];
  }
}

/** Counts of one histogram series. */
interface Buckets {
  readonly counts: number[];
  sum: number;
  count: number;
}

/**
 * Makes an empty registry.
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
      const total = () => sumOf(series.all(), ({ value }) => value);
      register(name, {
        kind: "counter",
        help,
        total,
        lines: (own) => linesOf(own, series, ({ value }) => value),
      });
      if (labels.length === 0) series.of([]); // an untouched counter is 0, not unknown
      return {
        add: (amount, ...values) => void (series.of(values).value += amount),
        value: (...values) => values.length === 0 ? total() : series.peek(values)?.value ?? 0,
      };
    },

    histogram(name, help, bounds, labels = []) {
      const series = new Series<Buckets>(labels, () => ({ counts: bounds.map(() => 0), sum: 0, count: 0 }));
      const some = (values: readonly string[]) =>
        values.length === 0 ? [...series.all()] : [series.of(values)];
      register(name, {
        kind: "histogram",
        help,
        total: () => sumOf(series.all(), ({ count }) => count),
        lines: (own) => histogramLines(own, bounds, series),
      });
      if (labels.length === 0) series.of([]);
      return {
        observe(value, ...values) {
          const buckets = series.of(values);
          const index = indexOf(bounds, value);
          if (index < bounds.length) buckets.counts[index]!++;
          buckets.sum += value;
          buckets.count++;
        },
        count: (...values) => sumOf(some(values), ({ count }) => count),
        sum: (...values) => sumOf(some(values), ({ sum }) => sum),
        quantile: (q) => quantileOf(bounds, [...series.all()], q),
      };
    },

    gauge(name, help, read, labels = []) {
      const values = (): Iterable<readonly [readonly string[], number]> => {
        const now = read();
        return typeof now === "number" ? [[[], now]] : now;
      };
      register(name, {
        // Some counters are kept by others and only read here; by convention their names end so.
        kind: name.endsWith("_total") ? "counter" : "gauge",
        help,
        total: () => sumOf(values(), ([, value]) => value),
        *lines(own) {
          for (const [each, value] of values()) yield `${own}${writeLabels(labels, each)} ${value}`;
        },
      });
    },

    render() {
      const lines: string[] = [];
      for (const [name, { kind, help, lines: own }] of metrics) {
        lines.push(
          `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
          `# TYPE ${name} ${kind}`,
        );
        lines.push(...own(name));
      }
      return lines.join("\n") + "\n";
    },

    totals: () =>
      Object.fromEntries(
        Array.from(
          metrics,
          ([name, { kind, total }]) => [kind === "histogram" ? `${name}_count` : name, total()],
        ),
      ),
  };
}

function* linesOf<T>(name: string, series: Series<T>, valueOf: (each: T) => number): Iterable<string> {
  for (const [labels, each] of series.written()) yield `${name}${labels} ${valueOf(each)}`;
}

function* histogramLines(name: string, bounds: readonly number[], series: Series<Buckets>): Iterable<string> {
  for (const [labels, { counts, sum, count }] of series.written()) {
    const before = labels === "" ? "{" : `${labels.slice(0, -1)},`;
    let below = 0;
    for (const [i, bound] of bounds.entries()) {
      yield `${name}_bucket${before}le="${bound}"} ${below += counts[i]!}`;
    }
    yield `${name}_bucket${before}le="+Inf"} ${count}`;
    yield `${name}_sum${labels} ${sum}`;
    yield `${name}_count${labels} ${count}`;
  }
}

function writeLabels(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return "";
  const escape = (value: string) =>
    value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
  return `{${names.map((name, i) => `${name}="${escape(values[i] ?? "")}"`).join()}}`;
}

/** The first bucket whose bound is not below the value; their number if there is none. */
function indexOf(bounds: readonly number[], value: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bounds[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function quantileOf(bounds: readonly number[], all: readonly Buckets[], q: number): number {
  const wanted = q * sumOf(all, ({ count }) => count);
  if (wanted === 0) return 0;
  let below = 0;
  for (const [i, bound] of bounds.entries()) {
    const inside = sumOf(all, ({ counts }) => counts[i]!);
    if (below + inside >= wanted) {
      const from = i === 0 ? 0 : bounds[i - 1]!;
      return from + (bound - from) * (wanted - below) / inside;
    }
    below += inside;
  }
  return bounds.at(-1)!;
}

function sumOf<T>(all: Iterable<T>, valueOf: (each: T) => number): number {
  let sum = 0;
  for (const each of all) sum += valueOf(each);
  return sum;
}
