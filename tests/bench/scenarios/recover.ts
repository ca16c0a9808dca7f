/**
 * Coming back: all clients connect at once and recover what they have missed, as after a deploy. The figures are the server's
 * CPU time for each, the rate at which they come back, and how long others wait meanwhile for their own publications.
 */

import { cpuSeconds, openFilesLimit } from "../os.ts";
import { startServer } from "../server_process.ts";
import type { Budget, Case, Contender, Dialogue, Figures, Scenario, Tools } from "../types.ts";
import { waitsWhile } from "./recover/others.ts";

const CLIENTS = 10_000;
const MISSED = 10;

/** Clients before the measurement, until the code is compiled. */
const FIRST_CLIENTS = 1_000;

/** Other open files of a server. */
const OTHER_FILES = 200;

const CONNECT = '{"connect":{},"id":1}';

/** Opens a channel and publishes what will be missed. */
function missing(path: string, channel: string): Dialogue {
  const subscribe = JSON.stringify({ subscribe: { channel }, id: 2 });
  const publishes = Array.from({ length: MISSED }, (_, i) => {
    return JSON.stringify({
      publish: { channel, data: { text: `what was missed, number ${i}` } },
      id: 3 + i,
    });
  });
  return {
    path,
    hello: [[CONNECT, subscribe, ...publishes].join("\n")],
    ready: `"id":${2 + MISSED},"publish"`,
    message: "",
  };
}

/** Connects and recovers from the beginning. */
function recovering(path: string, channel: string): Dialogue {
  const subscribe = { channel, recover: true, offset: 0, epoch: "" };
  return {
    path,
    hello: [`${CONNECT}\n${JSON.stringify({ subscribe, id: 2 })}`],
    ready: '"recovered":true',
    message: "",
    ping: { frame: "{}", answer: "{}" },
  };
}

async function measure(contender: Contender, { load }: Tools, own: boolean): Promise<Figures> {
  const { path, hello } = contender.speaks.fanout!;
  const count = Math.min(CLIENTS, openFilesLimit() - OTHER_FILES - FIRST_CLIENTS);
  await using server = await startServer(contender);
  const knowsChannels = hello !== undefined;
  if (knowsChannels) {
    await load.open(
      server.port,
      missing(path, own ? "missed $i" : "missed"),
      own ? count + FIRST_CLIENTS : 1,
    );
    await load.close();
  }
  const dialogue = knowsChannels ? recovering(path, own ? "missed $i" : "missed") : contender.speaks.fanout!;
  await load.open(server.port, dialogue, FIRST_CLIENTS);
  const before = cpuSeconds(server.pid);
  const back = load.open(server.port, dialogue, count);
  const waits = knowsChannels ? await waitsWhile(back, server.port, path) : [];
  const { seconds } = await back;
  const cpuMicros = (cpuSeconds(server.pid) - before) * 1e6 / count;
  await load.close();
  const figures = { perSecond: count / seconds, cpuMicros };
  if (waits.length === 0) return figures;
  const at = (share: number) => waits[Math.floor(waits.length * share)]!;
  return { ...figures, p50: at(0.5), p99: at(0.99) };
}

function recover(what: string, own: boolean, names: readonly string[], budgets: readonly Budget[]): Case {
  return {
    name: `${CLIENTS} clients come back and recover ${MISSED} publications each, ${what}`,
    figure: "cpuMicros",
    budgets,
    admits: ({ name }) => names.includes(name),
    run: async (contender, tools) => ({ figures: await measure(contender, tools, own), notes: [] }),
  };
}

/** Coming back. */
export const recoverScenario: Scenario = {
  name: "recover",
  cases: [
    recover("of one channel", false, ["bare", "plugboard", "centrifugo"], [
      { contender: "plugboard", against: "bare", figure: "cpuMicros", atMost: 2 },
      { contender: "plugboard", against: "centrifugo", figure: "cpuMicros", atMost: 0.9 },
    ]),
    recover("of a channel each", true, ["bare", "plugboard", "durable", "centrifugo"], [
      { contender: "plugboard", against: "bare", figure: "cpuMicros", atMost: 2 },
      { contender: "plugboard", against: "centrifugo", figure: "cpuMicros", atMost: 0.9 },
    ]),
  ],
};
