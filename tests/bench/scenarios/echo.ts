/** Echo: the path of a message through the kernel, without fan-out. */

import type { Scenario } from "../types.ts";
import { measureDrive } from "./drive.ts";

const CONNECTIONS = 100;

/** Each of 100 clients sends its next message when it has received the last one. */
export const echoScenario: Scenario = {
  name: "echo",
  cases: [{
    name: `echo to ${CONNECTIONS} clients, 1 in flight each`,
    figure: "cpuMicros",
    budgets: [{ contender: "kernel", against: "bare", figure: "cpuMicros", atMost: 1.15 }],
    admits: ({ speaks }) => speaks["echo"] !== undefined,
    run: (contender, tools) =>
      measureDrive(contender, tools, "echo", {
        connections: CONNECTIONS,
        senders: CONNECTIONS,
        inFlight: 1,
        deliveries: 1,
      }),
  }],
};
