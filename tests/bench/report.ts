/** Creates the table from the measurements. */

import { keyOf, type Results } from "./results.ts";
import type { Budget, Case, FigureName, Figures, Measurement } from "./types.ts";

/** A contender's measurements of one case, one per round. */
export interface Series {
  readonly contender: string;
  readonly measurements: readonly Measurement[];
}

/** The contenders that ratios refer to. */
const YARDSTICKS = ["bare", "bun", "centrifugo"] as const;

/** The title of the column with the last results. */
const LAST = "last time";

const COLUMNS: readonly { title: string; figure: FigureName; show: (value: number) => string }[] = [
  { title: "per second", figure: "perSecond", show: (value) => Math.round(value).toLocaleString("en") },
  { title: "CPU µs each", figure: "cpuMicros", show: (value) => value.toFixed(value < 1 ? 3 : 2) },
  { title: "main µs", figure: "mainMicros", show: (value) => value.toFixed(value < 1 ? 3 : 2) },
  { title: "p50 ms", figure: "p50", show: milliseconds },
  { title: "p99 ms", figure: "p99", show: milliseconds },
  { title: "p999 ms", figure: "p999", show: milliseconds },
  { title: "arrived ms", figure: "arrived", show: milliseconds },
  { title: "KiB each", figure: "kilobytes", show: (value) => value.toFixed(2) },
  { title: "times", figure: "times", show: (value) => value.toFixed(2) },
  { title: "bytes each", figure: "bytes", show: (value) => value.toFixed(2) },
];

/** The report of a case: rows for the table, remarks below it, and whether a budget was missed. */
export interface CaseReport {
  readonly rows: readonly string[][];
  readonly remarks: readonly string[];
  readonly missed: boolean;
}

/** The titles of {@linkcode CaseReport.rows}. */
export const titles: readonly string[] = [
  "contender",
  ...COLUMNS.map(({ title }) => title),
  ...YARDSTICKS.map((name) => `× ${name}`),
  "budget",
];

/** Summarizes the rounds of a case: medians, ratios, budgets. */
export function reportCase({ name, figure, budgets }: Case, all: readonly Series[]): CaseReport {
  let missed = false;
  const rows = all.map(({ contender, measurements }) => {
    const verdicts = budgets.filter((budget) => budget.contender === contender).map((budget) => {
      const verdict = judge(budget, all);
      if (verdict.endsWith("MISSED")) missed = true;
      return verdict;
    });
    return [
      contender,
      ...COLUMNS.map((column) => {
        const value = median(measurements.map(({ figures }) => figures[column.figure]));
        return value === undefined ? "" : column.show(value);
      }),
      ...YARDSTICKS.map((yardstick) => ratio(figure, contender, yardstick, all)?.toFixed(2) ?? ""),
      verdicts.join(", "),
    ];
  });
  return { rows, remarks: remarksOn(all).map((remark) => `${name}: ${remark}`), missed };
}

/** Returns the table of a scenario in Markdown: the rows of its cases, without empty columns, and the last results. */
export function tableOf(cases: readonly { name: string; report: CaseReport }[], last: Results): string {
  const rows = cases.flatMap(({ name, report }) =>
    report.rows.map((row, i) => [i === 0 ? name : "", ...row, last.get(keyOf(name, row[0]!)) ?? ""])
  );
  const all = [["case", ...titles, LAST], ...rows];
  const used = all[0]!.map((_, column) => rows.some((row) => row[column] !== ""));
  return layOut(all.map((row) => row.filter((_, column) => used[column])));
}

/** The first two columns and the last two are texts. */
function layOut([head, ...rows]: readonly (readonly string[])[]): string {
  const widths = head!.map((_, i) => Math.max(3, ...[head!, ...rows].map((row) => row[i]!.length)));
  const isText = head!.map((title) => ["case", "contender", "budget", LAST].includes(title));
  const line = (row: readonly string[]) => {
    const cells = row.map((cell, i) => isText[i] ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!));
    return `| ${cells.join(" | ")} |`;
  };
  const rule = widths.map((width, i) => isText[i] ? "-".repeat(width) : "-".repeat(width - 1) + ":");
  return [line(head!), line(rule), ...rows.map(line)].join("\n");
}

function judge(budget: Budget, all: readonly Series[]): string {
  const { contender, against, figure, atMost, atLeast, atMostMore } = budget;
  if (against !== undefined && atMostMore !== undefined) return judgeMore(budget, against, atMostMore, all);
  const value = against === undefined
    ? median(seriesOf(contender, all).map((figures) => figures[figure]))
    : ratio(figure, contender, against, all);
  const unit = against === undefined ? "" : ` × ${against}`;
  const bound = atMost !== undefined ? `≤ ${atMost}${unit}` : `≥ ${atLeast}${unit}`;
  if (value === undefined) return `${bound} not measured`;
  // Compared as shown, since a third digit is noise.
  const shown = value.toFixed(2);
  const holds = Number(shown) <= (atMost ?? Infinity) && Number(shown) >= (atLeast ?? -Infinity);
  return `${shown} ${bound} ${holds ? "ok" : "MISSED"}`;
}

function judgeMore(
  { contender, figure }: Budget,
  against: string,
  limit: number,
  all: readonly Series[],
): string {
  const value = compared(contender, against, figure, all, (mine, theirs) => mine - theirs);
  const bound = `≤ ${against} + ${limit}`;
  if (value === undefined) return `${bound} not measured`;
  return `+${Math.round(value)} ${bound} ${Math.round(value) <= limit ? "ok" : "MISSED"}`;
}

/** Returns the median of the ratios per round, since a disturbance affects both sides of a round. */
function ratio(
  figure: FigureName,
  contender: string,
  against: string,
  all: readonly Series[],
): number | undefined {
  return compared(contender, against, figure, all, (mine, theirs) => mine / theirs);
}

function compared(
  contender: string,
  against: string,
  figure: FigureName,
  all: readonly Series[],
  compare: (mine: number, theirs: number) => number,
): number | undefined {
  const others = seriesOf(against, all);
  return median(
    seriesOf(contender, all).map((figures, round) => {
      const [mine, theirs] = [figures[figure], others[round]?.[figure]];
      return mine === undefined || theirs === undefined ? undefined : compare(mine, theirs);
    }),
  );
}

function seriesOf(contender: string, all: readonly Series[]): Figures[] {
  return all.find((series) => series.contender === contender)?.measurements.map(({ figures }) => figures) ??
    [];
}

/** Returns each note once, with its contenders and the number of rounds. */
function remarksOn(all: readonly Series[]): string[] {
  const notes = new Set(all.flatMap(({ measurements }) => measurements.flatMap(({ notes }) => notes)));
  return [...notes].map((note) => {
    const rounds = all.map(({ contender, measurements }) => {
      const count = measurements.filter(({ notes }) => notes.includes(note)).length;
      return count === 0 ? "" : `${contender} ${count} of ${measurements.length}`;
    });
    return `${note} (${rounds.filter((text) => text !== "").join(", ")})`;
  });
}

function median(values: readonly (number | undefined)[]): number | undefined {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function milliseconds(micros: number): string {
  return (micros / 1000).toFixed(2);
}
