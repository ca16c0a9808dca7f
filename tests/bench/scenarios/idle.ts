/** Idle connections: the memory of each. */

import { memoryKilobytes, openFilesLimit } from "../os.ts";
import { startServer } from "../server_process.ts";
import type { Contender, Measurement, Scenario, Tools } from "../types.ts";

const CONNECTIONS = 10_000;

/** Connections before the measurement, to exclude the cost of compiling code. */
const FIRST_CONNECTIONS = 200;

/** Other open files of a server. */
const OTHER_FILES = 200;

/** Time to free the memory that only connecting needed. */
const SETTLE_SECONDS = 3;

/** Opens connections and leaves them idle. Resolves to the memory of each. */
export async function measureIdle(contender: Contender, { load }: Tools): Promise<Measurement> {
  const count = Math.min(CONNECTIONS, openFilesLimit() - OTHER_FILES);
  const dialogue = contender.speaks["fanout"]!;
  await using server = await startServer(contender);
  await load.open(server.port, dialogue, FIRST_CONNECTIONS);
  await load.hold(1);
  const before = memoryKilobytes(server.pid);
  const { seconds } = await load.open(server.port, dialogue, count - FIRST_CONNECTIONS);
  const { closed } = await load.hold(SETTLE_SECONDS);
  const kilobytes = (memoryKilobytes(server.pid) - before) / (count - FIRST_CONNECTIONS);
  await load.close();
  const notes: string[] = [];
  if (count < CONNECTIONS) {
    notes.push(`only ${count} connections: raise the limit of open files (ulimit -Hn)`);
  }
  if (closed > 0) notes.push(`${closed} connections closed`);
  return { figures: { perSecond: (count - FIRST_CONNECTIONS) / seconds, kilobytes }, notes };
}

/** 10,000 subscribed connections. The column "per second" is the rate of opening them. */
export const idleScenario: Scenario = {
  name: "idle",
  cases: [{
    name: `${CONNECTIONS} idle connections`,
    figure: "kilobytes",
    budgets: [
      { contender: "kernel", against: "bare", figure: "kilobytes", atMost: 1.15 },
      { contender: "plugboard", against: "bare", figure: "kilobytes", atMost: 1.3 },
    ],
    admits: ({ speaks, usesCores }) => speaks["fanout"] !== undefined && !usesCores,
    run: measureIdle,
  }],
};
