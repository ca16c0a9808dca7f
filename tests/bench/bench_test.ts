import assert from "node:assert/strict";
import { eachStamp, StampedFrame } from "./load/frames.ts";
import { Histogram } from "./load/histogram.ts";
import { reportCase, type Series, tableOf } from "./report.ts";
import { parseResults, withSection } from "./results.ts";
import type { Case, Figures } from "./types.ts";

function stampsIn(bytes: Uint8Array): [number, number][] {
  const stamps: [number, number][] = [];
  eachStamp(bytes, 0, bytes.length, (micros, sender) => stamps.push([micros, sender]));
  return stamps;
}

function series(contender: string, ...figures: Figures[]): Series {
  return { contender, measurements: figures.map((each) => ({ figures: each, notes: [] })) };
}

function caseWith(...budgets: Case["budgets"]): Case {
  return {
    name: "a case",
    figure: "cpuMicros",
    budgets,
    admits: () => true,
    run: () => Promise.reject(new Error("not run here")),
  };
}

Deno.test("a stamp does not change the length of a frame, and every stamp is found", () => {
  const frame = new StampedFrame('{"id":$n,"data":"$payload"}', 64);
  const first = frame.stamp(123_456_789, 7).slice();
  const second = frame.stamp(99_999_999_999_999, 99_999).slice();
  assert.equal(first.length, second.length);
  const both = new Uint8Array([...first, ...second]);
  assert.deepEqual(stampsIn(both), [[123_456_789, 7], [99_999_999_999_999, 99_999]]);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes.subarray(6));
  assert.equal(JSON.parse(text(first)).id + 1, JSON.parse(text(second)).id);
  assert.equal(JSON.parse(text(first)).data.length, 64);
});

Deno.test("a truncated stamp is not counted", () => {
  const { bytes } = new StampedFrame("$payload", 30);
  assert.equal(stampsIn(bytes.subarray(0, 20)).length, 0);
});

Deno.test("percentiles are correct", () => {
  const histogram = new Histogram();
  for (let micros = 1; micros <= 1_000; micros++) histogram.record(micros);
  assert.deepEqual([0.5, 0.99, 0.999].map((share) => histogram.percentile(share)), [500, 990, 999]);
  histogram.clear();
  assert.equal(histogram.percentile(0.5), 0);
});

Deno.test("a ratio is the median of the rounds' ratios, not the ratio of the medians", () => {
  // A disturbance in the second round affects both.
  const bare = series("bare", { cpuMicros: 4 }, { cpuMicros: 40 }, { cpuMicros: 5 });
  const kernel = series("kernel", { cpuMicros: 4 }, { cpuMicros: 44 }, { cpuMicros: 6 });
  const budget = { contender: "kernel", against: "bare", figure: "cpuMicros", atMost: 1.1 } as const;
  const { rows, missed } = reportCase(caseWith(budget), [bare, kernel]);
  assert.equal(rows[1]!.at(-1), "1.10 ≤ 1.1 × bare ok");
  assert.equal(missed, false);
});

Deno.test("a missed budget is marked, and one without figures is not measured", () => {
  const atLeast = { contender: "kernel", figure: "perSecond", atLeast: 20 } as const;
  const against = { contender: "kernel", against: "bun", figure: "cpuMicros", atMost: 0.7 } as const;
  const { rows, missed } = reportCase(caseWith(atLeast, against), [series("kernel", { perSecond: 19 })]);
  assert.equal(rows[0]!.at(-1), "19.00 ≥ 20 MISSED, ≤ 0.7 × bun not measured");
  assert.equal(missed, true);
});

Deno.test("a note is shown once, with its contenders and the number of rounds", () => {
  const measurement = (...notes: string[]) => ({ figures: {}, notes });
  const { remarks } = reportCase(caseWith(), [
    { contender: "bare", measurements: [measurement("busy"), measurement()] },
    { contender: "kernel", measurements: [measurement("busy"), measurement("busy")] },
  ]);
  assert.deepEqual(remarks, ["a case: busy (bare 1 of 2, kernel 2 of 2)"]);
});

Deno.test("a scenario has one table, without empty columns, with the last results beside the new ones", () => {
  const table = (cpuMicros: number, last: string) => {
    const bare = series("bare", { cpuMicros: 4 });
    const report = reportCase(caseWith(), [bare, series("kernel", { cpuMicros })]);
    return tableOf([{ name: "a case", report }, { name: "another", report }], parseResults(last));
  };
  const first = table(6, "");
  assert.equal(
    first,
    [
      "| case    | contender | CPU µs each | × bare |",
      "| ------- | --------- | ----------: | -----: |",
      "| a case  | bare      |        4.00 |   1.00 |",
      "|         | kernel    |        6.00 |   1.50 |",
      "| another | bare      |        4.00 |   1.00 |",
      "|         | kernel    |        6.00 |   1.50 |",
    ].join("\n"),
  );
  const saved = withSection(withSection("# Results\n", "one", first), "two", "x");
  assert.match(table(5, saved).split("\n")[3]!, /kernel +\| +5.00 \| +1.25 \| 6.00 \(1.50 × bare\) \|$/);
  assert.equal(withSection(saved, "one", "y"), "# Results\n\n## one\n\ny\n\n## two\n\nx\n");
});

Deno.test({
  name: "the bench measures the chosen scenario and exits",
  ignore: Deno.build.os !== "linux", // it reads /proc
  async fn() {
    const main = new URL("./main.ts", import.meta.url).pathname;
    const options = ["--only", "echo", "--contenders", "bare,kernel", "--seconds", "0.1", "--runs", "1"];
    const args = ["run", "--allow-all", main, "--", ...options];
    const { code, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
    assert.equal(code, 0);
    const lines = new TextDecoder().decode(stdout).split("\n");
    for (const contender of ["bare", "kernel"]) {
      const row = lines.find((line) => line.includes(`| ${contender} `)) ?? "";
      const [, , , perSecond] = row.split("|").map((cell) => cell.trim());
      assert.ok(
        Number(perSecond?.replaceAll(",", "")) > 0,
        `no figures for ${contender} in:\n${lines.join("\n")}`,
      );
    }
  },
});
