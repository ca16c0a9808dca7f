/** Workers: what is left for the main thread, and what the whole costs, beside one thread and beside clusters. */

import type { Budget, Case, Contender, FigureName, Scenario } from "../types.ts";
import { measureConnect } from "./connect.ts";
import { measureDrive } from "./drive.ts";
import { measureIdle } from "./idle.ts";

const ALL = ["plugboard", "workers", "bun", "bun cluster", "ws", "ws cluster"];
const OURS = ["plugboard", "workers"];

function atMost(figure: FigureName, ratio: number): Budget {
  return { contender: "workers", against: "plugboard", figure, atMost: ratio };
}

/**
 * Gives the load process precedence over the server. Two workers on two cores leave it too little time to keep its window
 * full. A server that lacks messages joins fewer in a frame, and the figure would be that of another load.
 */
function yielding(contender: Contender): Contender {
  return { ...contender, command: ["nice", "-n", "5", ...contender.command] };
}

function fanout(
  name: string,
  readers: number,
  inFlight: number,
  names: readonly string[],
  budgets: Budget[],
): Case {
  return {
    name,
    figure: "cpuMicros",
    budgets,
    admits: (contender) => names.includes(contender.name),
    run: (contender, tools) =>
      measureDrive(inFlight === 1 ? contender : yielding(contender), tools, "fanout", {
        connections: readers,
        senders: 1,
        inFlight,
        deliveries: readers,
      }),
  };
}

/** Servers on one core, and the same on all. */
export const workersScenario: Scenario = {
  name: "workers",
  cases: [
    fanout("one message at a time", 1, 1, OURS, [
      { contender: "workers", against: "plugboard", figure: "p50", atMostMore: 300 },
    ]),
    fanout("to 1000 readers, 1 at a time", 1_000, 1, ALL, [
      atMost("mainMicros", 0.08),
      atMost("cpuMicros", 1.15),
    ]),
    fanout("to 1000 readers, 16 at a time", 1_000, 16, ALL, [
      atMost("mainMicros", 0.15),
      atMost("cpuMicros", 1.15),
    ]),
    {
      name: "connect and subscribe, 10000 clients",
      figure: "cpuMicros",
      budgets: [atMost("mainMicros", 0.6)],
      admits: ({ name }) => OURS.includes(name),
      run: (contender, tools) => measureConnect(contender, tools, "fanout"),
    },
    {
      name: "memory, 10000 clients",
      figure: "kilobytes",
      budgets: [atMost("kilobytes", 1.4)],
      admits: ({ name }) => OURS.includes(name),
      run: measureIdle,
    },
  ],
};
