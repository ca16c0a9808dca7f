/** What the dashboard is made of: statistics and the flight recorder, against a server without them, and `/metrics`. */

import { startServer } from "../server_process.ts";
import type { Budget, Case, Contender, Dialogue, Measurement, Scenario, Tools } from "../types.ts";
import { measureDrive } from "./drive.ts";

const SERVER = new URL("./dashboard/server.ts", import.meta.url).pathname;

const PROBE = new URL("./dashboard/probe.ts", import.meta.url).pathname;

const dialogue: Dialogue = {
  path: "/connection/websocket",
  hello: ['{"connect":{},"id":1}\n{"subscribe":{"channel":"room"},"id":2}'],
  ready: '"id":2,"subscribe"',
  message: '{"publish":{"channel":"room","data":"$payload"},"id":3}',
  ping: { frame: "{}", answer: "{}" },
};

/** A server with some of the plugins. */
const having = (...plugins: string[]): Contender => ({
  name: ["dashboard", ...plugins].join(" "),
  command: [Deno.execPath(), "run", "--quiet", "--allow-all", SERVER, ...plugins],
  speaks: { fanout: dialogue },
});

/**
 * Measures deliveries without the plugins, and by a probe what the plugins add to a publication. Two processes differ by
 * more than that.
 */
async function delivery(readers: number, plugins: readonly string[], tools: Tools): Promise<Measurement> {
  const traffic = { connections: readers, senders: 1, inFlight: 1, deliveries: readers };
  const { figures, notes } = await measureDrive(having(), tools, "fanout", traffic);
  const args = ["run", "--quiet", "--allow-all", PROBE, ...plugins];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (!success) throw new Error("The probe of the dashboard failed");
  const { cpuMicros: added } = JSON.parse(new TextDecoder().decode(stdout));
  return { figures: { cpuMicros: added, times: 1 + added / (readers * figures.cpuMicros!) }, notes };
}

/** How often `/metrics` is read. */
const READS = 50;

/** Reads `/metrics` of a server with so many subscribed connections. */
async function metrics(connections: number, { load }: Tools): Promise<Measurement> {
  await using server = await startServer(having("stats"));
  await load.open(server.port, dialogue, connections);
  const took: number[] = [];
  for (let i = 0; i < READS; i++) {
    const startedAt = performance.now();
    const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    await response.text();
    if (!response.ok) throw new Error(`/metrics was answered with ${response.status}`);
    took.push((performance.now() - startedAt) * 1_000);
  }
  await load.close();
  took.sort((a, b) => a - b);
  return { figures: { p50: took[READS >> 1]!, p99: took[READS - 1]! }, notes: [] };
}

function one(
  name: string,
  figure: Case["figure"],
  budgets: readonly Omit<Budget, "contender">[],
  run: Case["run"],
): Case {
  return {
    name,
    figure,
    budgets: budgets.map((budget) => ({ contender: "plugboard", ...budget })),
    admits: ({ name }) => name === "plugboard",
    run,
  };
}

const atMost = (figure: Budget["figure"], limit: number) => [{ figure, atMost: limit }];

/** Statistics, the flight recorder, and `/metrics`. */
export const dashboardScenario: Scenario = {
  name: "dashboard",
  cases: [
    ...[100, 1_000].flatMap((readers) => [
      one(
        `statistics on a publication to ${readers} readers; CPU of its deliveries, against none`,
        "times",
        atMost("times", 1.03),
        (_, tools) => delivery(readers, [], tools),
      ),
      one(
        `statistics and the flight recorder on a publication to ${readers} readers, against neither`,
        "times",
        [], // an option; off by default
        (_, tools) => delivery(readers, ["recorder"], tools),
      ),
    ]),
    one(
      "/metrics at 10000 connections, p50",
      "p50",
      atMost("p50", 5_000),
      (_, tools) => metrics(10_000, tools),
    ),
  ],
};
