/** Connecting: what the server pays until a client is ready. */

import { cpuSeconds, mainThreadSeconds, openFilesLimit } from "../os.ts";
import { startServer } from "../server_process.ts";
import type { Budget, Case, Contender, Measurement, Scenario, Tools } from "../types.ts";

const CONNECTIONS = 10_000;

/** Connections before the measurement, until the code is compiled. */
const FIRST_CONNECTIONS = 2_000;

/** Other open files of a server. */
const OTHER_FILES = 200;

/** Opens connections. Resolves to the figures of each. */
export async function measureConnect(
  contender: Contender,
  { load }: Tools,
  dialogue: string,
): Promise<Measurement> {
  const count = Math.min(CONNECTIONS, openFilesLimit() - OTHER_FILES - FIRST_CONNECTIONS);
  await using server = await startServer(contender);
  await load.open(server.port, contender.speaks[dialogue]!, FIRST_CONNECTIONS);
  const [before, mainBefore] = [cpuSeconds(server.pid), mainThreadSeconds(server.pid)];
  const { seconds } = await load.open(server.port, contender.speaks[dialogue]!, count);
  const cpuMicros = (cpuSeconds(server.pid) - before) * 1e6 / count;
  const mainMicros = (mainThreadSeconds(server.pid) - mainBefore) * 1e6 / count;
  const { closed } = await load.hold(0);
  await load.close();
  const notes = closed > 0 ? [`${closed} connections closed`] : [];
  return { figures: { perSecond: count / seconds, cpuMicros, mainMicros }, notes };
}

function connect(what: string, dialogue: string, budgets: readonly Budget[]): Case {
  return {
    name: `${CONNECTIONS} clients ${what}`,
    figure: "cpuMicros",
    budgets,
    admits: ({ speaks, usesCores }) => speaks[dialogue] !== undefined && !usesCores,
    run: (contender, tools) => measureConnect(contender, tools, dialogue),
  };
}

/** Upgrades alone, then with a sign-in and a subscription where the protocol has them. */
export const connectScenario: Scenario = {
  name: "connect",
  cases: [
    connect("open a WebSocket", "echo", [
      { contender: "kernel", against: "bare", figure: "cpuMicros", atMost: 1.25 },
    ]),
    connect("connect and subscribe", "fanout", [
      { contender: "plugboard", against: "centrifugo", figure: "cpuMicros", atMost: 0.8 },
      { contender: "main", against: "centrifugo", figure: "cpuMicros", atMost: 0.8 },
    ]),
  ],
};
