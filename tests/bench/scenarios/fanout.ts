/** Fan-out: one message to many readers. */

import type { Budget, Case, Scenario } from "../types.ts";
import { measureDrive } from "./drive.ts";

function fanout(readers: number, inFlight: number, budgets: readonly Budget[]): Case {
  return {
    name: `fan-out to ${readers} readers, ${inFlight} in flight`,
    figure: "cpuMicros",
    budgets,
    admits: ({ speaks, usesCores }) => speaks["fanout"] !== undefined && !usesCores,
    run: (contender, tools) =>
      measureDrive(contender, tools, "fanout", {
        connections: readers,
        senders: 1,
        inFlight,
        deliveries: readers,
      }),
  };
}

const oneInFlight: Budget[] = [
  { contender: "kernel", against: "bare", figure: "cpuMicros", atMost: 1.1 },
  { contender: "kernel-lines", against: "bare", figure: "cpuMicros", atMost: 1.1 },
  { contender: "plugboard", against: "bare", figure: "cpuMicros", atMost: 1.1 },
  { contender: "protobuf", against: "plugboard", figure: "cpuMicros", atMost: 1 },
  { contender: "json", against: "bare", figure: "cpuMicros", atMost: 1.2 },
  { contender: "plugboard", against: "no-log", figure: "cpuMicros", atMost: 1.3 },
];
const sixteenInFlight: Budget[] = [
  { contender: "kernel-lines", against: "bun", figure: "cpuMicros", atMost: 0.7 },
  { contender: "plugboard", against: "bun", figure: "cpuMicros", atMost: 0.7 },
  { contender: "protobuf", against: "plugboard", figure: "cpuMicros", atMost: 1 },
];

/** Fan-out to 100 and 1,000 readers. */
export const fanoutScenario: Scenario = {
  name: "fanout",
  cases: [
    fanout(1, 1, []),
    fanout(100, 1, oneInFlight),
    fanout(100, 16, sixteenInFlight),
    fanout(1_000, 1, oneInFlight),
    fanout(1_000, 16, sixteenInFlight),
  ],
};
