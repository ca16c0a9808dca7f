/** Durable channels: recovery from the file, the effect of a busy disk, growth, and the start with a large file. */

import { startServer } from "../server_process.ts";
import type { Case, Contender, Measurement, Scenario, Tools } from "../types.ts";
import { measureBeside } from "./beside.ts";

const program = (file: string) => new URL(`./durable/${file}`, import.meta.url).pathname;

function serverOn(folder: string): Contender {
  const command = [Deno.execPath(), "run", "--quiet", "--allow-all", program("server.ts"), folder];
  return { name: "durable channels", command, speaks: {} };
}

async function run(file: string, ...args: string[]): Promise<string> {
  const options = {
    args: ["run", "--quiet", "--allow-all", "--v8-flags=--expose-gc", program(file), ...args],
  };
  const { success, signal, stdout } = await new Deno.Command(Deno.execPath(), {
    ...options,
    stderr: "inherit",
  })
    .output();
  if (!success && signal !== "SIGKILL") throw new Error(`${file} failed`);
  return new TextDecoder().decode(stdout);
}

/** A temporary folder for a database, with copies of the files of a template. */
class Folder implements Disposable {
  readonly path = Deno.makeTempDirSync();

  constructor(template?: string) {
    if (template === undefined) return;
    for (const { name } of Deno.readDirSync(template)) {
      Deno.copyFileSync(`${template}/${name}`, `${this.path}/${name}`);
    }
  }

  [Symbol.dispose]() {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Databases that are created once and used in all rounds. */
const seeds = new Map<string, Folder>();
addEventListener("unload", () => seeds.forEach((folder) => folder[Symbol.dispose]()));

async function seeded(channels: number, publications: number, end = "closed"): Promise<Folder> {
  const args = [String(channels), String(publications), end];
  let seed = seeds.get(args.join());
  if (seed === undefined) {
    seeds.set(args.join(), seed = new Folder());
    await run("seed.ts", seed.path, ...args);
  }
  return new Folder(seed.path);
}

const onlyKernel: Case["admits"] = ({ name }) => name === "kernel";

const CLIENTS = 1_000;
const MISSED = 300;

/** Measures the time until all clients have connected and recovered. */
function recovery(what: string, channelCount: number, channel: string): Case {
  return {
    name: `${CLIENTS} clients recover ${MISSED} durable publications each, ${what}`,
    figure: "p999",
    budgets: [{ contender: "kernel", figure: "p999", atMost: 2_000_000 }],
    admits: onlyKernel,
    async run(_, { load }) {
      using folder = await seeded(channelCount, MISSED);
      await using server = await startServer(serverOn(folder.path));
      const subscribe = { channel, recover: true, offset: 0, epoch: "" };
      const { seconds } = await load.open(server.port, {
        path: "/connection/websocket",
        hello: [`{"connect":{},"id":1}\n${JSON.stringify({ subscribe, id: 2 })}`],
        ready: '"recovered":true',
        message: "",
      }, CLIENTS);
      await load.close();
      return { figures: { p999: seconds * 1e6 }, notes: [] };
    },
  };
}

/** Measures deliveries in memory channels while others publish to durable channels or to memory channels. */
async function measureBusyDisk(tools: Tools): Promise<Measurement> {
  using folder = new Folder();
  await using server = await startServer(serverOn(folder.path));
  return await measureBeside(server, tools, { busy: "kept", quiet: "free" });
}

const busyDisk: Case = {
  name: "memory channels during 2,000 durable publications a second, against an idle disk",
  figure: "p99",
  budgets: [{ contender: "kernel", figure: "times", atMost: 1.5 }],
  admits: onlyKernel,
  run: (_, tools) => measureBusyDisk(tools),
};

/** Returns the ratio of the maxima of the second and the first half. */
function growth(series: readonly number[]): number {
  const half = series.length / 2;
  return Math.max(...series.slice(half)) / Math.max(...series.slice(0, half));
}

async function soak(): Promise<Measurement> {
  const samples: Record<"file" | "log" | "memory", number>[] = JSON.parse(await run("soak.ts"));
  const series = (what: "file" | "log" | "memory") => samples.map((sample) => sample[what]);
  const shown = (what: "file" | "log" | "memory") =>
    series(what).map((each) => Math.round(each / 1024)).join(" ");
  return {
    figures: {
      times: Math.max(growth(series("file")), growth(series("memory"))),
      kilobytes: series("file").at(-1)!,
    },
    notes: [
      `in MiB, the file ${shown("file")}; its write-ahead log ${shown("log")}; the memory ${shown("memory")}`,
    ],
  };
}

/** Runs once for all rounds, since it takes a million publications. */
let soaked: Promise<Measurement> | undefined;

const leveling: Case = {
  name: "1,000,000 durable publications over 10,000 channels, second half's size against the first's",
  figure: "times",
  budgets: [{ contender: "kernel", figure: "times", atMost: 1.1 }],
  admits: onlyKernel,
  run: () => soaked ??= soak(),
};

/** Measures the start with a file of 1,000,000 publications. */
function start(what: string, end: "closed" | "killed"): Case {
  return {
    name: `start with 1,000,000 publications, ${what}`,
    figure: "p50",
    budgets: [{ contender: "kernel", figure: "p50", atMost: 1_000_000 }],
    admits: onlyKernel,
    async run() {
      using folder = await seeded(10_000, 100, end);
      const begun = performance.now();
      await using _ = await startServer(serverOn(folder.path));
      return { figures: { p50: (performance.now() - begun) * 1000 }, notes: [] };
    },
  };
}

/** Durable channels. */
export const durableScenario: Scenario = {
  name: "durable",
  cases: [
    recovery("of one channel", 1, "kept:0"),
    recovery("of a channel each", CLIENTS, "kept:$i"),
    busyDisk,
    leveling,
    start("after a graceful stop", "closed"),
    start("after SIGKILL, and the file is checked", "killed"),
  ],
};
