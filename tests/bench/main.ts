/**
 * The bench: measures every budget against bare Deno and other servers, in one table for each scenario.
 *
 * ```sh
 * deno task bench                                         # everything, about 15 minutes
 * deno task bench --only fanout --contenders bare,kernel --seconds 2 --runs 3
 * ```
 *
 * Each contender is a separate process, driven by a load process. Rounds are interleaved (A B A B), and the figures are
 * medians over them, since other programs on the machine disturb single rounds.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { asIn, centrifugo, contenderNames, others, ours } from "./contenders.ts";
import { Load } from "./load/mod.ts";
import { type CaseReport, reportCase, type Series, tableOf } from "./report.ts";
import { parseResults, readResults, withSection, writeResults } from "./results.ts";
import { installRivals, type Rivals } from "./rivals.ts";
import { scenarios } from "./scenarios.ts";
import type { Case, Contender, Measurement, Tools } from "./types.ts";

const HELP = `deno task bench [options]

  --only a,b         scenarios: ${scenarios.map(({ name }) => name).join(", ")}
  --contenders a,b   ${contenderNames.join(", ")}
  --seconds n        duration of each measurement (1)
  --runs n           number of rounds; the table shows medians (5)
  --before folder    another checkout, measured beside this one
  --strict           exit with 1 if a budget is missed
  --save             write the tables to tests/bench/RESULTS.md

Each table shows what stood in RESULTS.md before. CENTRIFUGO=path of its executable measures Centrifugo, too.
`;

const print = (text: string) => void Deno.stdout.writeSync(new TextEncoder().encode(text));
/** Prints progress to the standard error, apart from the table. */
const report = (text: string) => void Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));

function readArguments() {
  // Deno also passes the "--" of `deno task bench -- --only echo`.
  const args = Deno.args[0] === "--" ? Deno.args.slice(1) : Deno.args;
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      contenders: { type: "string" },
      before: { type: "string" },
      seconds: { type: "string", default: "1" },
      runs: { type: "string", default: "5" },
      strict: { type: "boolean", default: false },
      save: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    only: choose("--only", values.only, scenarios.map(({ name }) => name)),
    contenders: choose("--contenders", values.contenders, contenderNames),
    seconds: positive("--seconds", values.seconds),
    runs: positive("--runs", values.runs),
  };
}

function choose(option: string, list: string | undefined, all: readonly string[]): readonly string[] {
  const chosen = list?.split(",") ?? all;
  for (const name of chosen) {
    if (!all.includes(name)) throw new Error(`${option} must be of ${all.join(", ")}, got ${name}`);
  }
  return chosen;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${option} must be a number above zero, got ${text}`);
  return value;
}

/** Returns the chosen contenders. Reports those that cannot be installed. */
async function gather(
  names: readonly string[],
  scope: AsyncDisposableStack,
): Promise<readonly Contender[]> {
  const path = Deno.env.get("CENTRIFUGO");
  let all = path === undefined ? ours : [...ours, centrifugo(path)];
  if (path === undefined && names.includes("centrifugo")) {
    report("Centrifugo is not measured: CENTRIFUGO=path");
  }
  if (names.some((name) => name !== "centrifugo" && !ours.some((contender) => contender.name === name))) {
    try {
      const rivals: Rivals = scope.use(await installRivals());
      all = [...all, ...others(rivals, await nodeCommand())];
    } catch (error) {
      report(`Cannot install Bun, ws and Socket.IO: ${error}`);
    }
  }
  return contenderNames.filter((name) => names.includes(name))
    .flatMap((name) => all.filter((contender) => contender.name === name));
}

/** Returns the command for Node programs: Node if installed, else Deno. */
async function nodeCommand(): Promise<readonly string[]> {
  try {
    await new Deno.Command("node", { args: ["--version"], stdout: "null" }).output();
    return ["node"];
  } catch {
    report("Node is not installed: ws and Socket.IO run in Deno");
    return [Deno.execPath(), "run", "--quiet", "--allow-all"];
  }
}

async function runCase(
  one: Case,
  contenders: readonly Contender[],
  tools: Tools,
  runs: number,
): Promise<Series[]> {
  const participants = contenders.filter((contender) => one.admits(contender))
    .map((contender) => ({ contender, measurements: [] as Measurement[] }));
  for (let round = 1; round <= runs; round++) {
    for (const { contender, measurements } of participants) {
      if (Deno.stderr.isTerminal()) report(`${one.name} · ${contender.name} · ${round}/${runs}`);
      measurements.push(await measure(one, contender, tools));
    }
  }
  return participants.map(({ contender: { name }, measurements }) => ({ contender: name, measurements }));
}

/** Measures once. A failure has no figures and a note. */
async function measure(one: Case, contender: Contender, tools: Tools): Promise<Measurement> {
  try {
    return await one.run(contender, tools);
  } catch (error) {
    await tools.load.close();
    return { figures: {}, notes: [`failed: ${error instanceof Error ? error.message : error}`] };
  }
}

/** Describes what the figures depend on. */
function machine(): string {
  const [load] = Deno.loadavg();
  const cores = navigator.hardwareConcurrency;
  return `${new Date().toISOString().slice(0, 10)}, Deno ${Deno.version.deno}, ${cores} cores, load ${
    load!.toFixed(1)
  }`;
}

async function main(): Promise<number> {
  const { only, contenders: names, before, seconds, runs, strict, save, help } = readArguments();
  if (help) {
    print(HELP);
    return 0;
  }
  if (Deno.build.os !== "linux") throw new Error("The bench needs Linux, since it reads /proc");
  await using scope = new AsyncDisposableStack();
  const contenders = [...await gather(names, scope), ...before === undefined ? [] : asIn(before, names)];
  const load = scope.use(new Load());
  let text = readResults();
  const last = parseResults(text);
  let missed = false;
  for (const { name, cases } of scenarios.filter(({ name }) => only.includes(name))) {
    const reports: { name: string; report: CaseReport }[] = [];
    for (const one of cases) {
      const series = await runCase(one, contenders, { load, seconds }, runs);
      if (series.length > 0) reports.push({ name: one.name, report: reportCase(one, series) });
    }
    if (reports.length === 0) continue;
    const remarks = reports.flatMap(({ report }) => report.remarks.map((remark) => `- ${remark}\n`)).join("");
    const section = `${runs} rounds, ${machine()}\n\n${tableOf(reports, last)}\n${remarks && `\n${remarks}`}`;
    print(`\n## ${name}\n\n${section}`);
    missed ||= reports.some(({ report }) => report.missed);
    text = withSection(text, name, section.trimEnd());
    if (save) writeResults(text);
  }
  return missed && strict ? 1 : 0;
}

try {
  Deno.exitCode = await main();
} catch (error) {
  report(error instanceof Error ? error.message : String(error));
  Deno.exitCode = 2;
}
