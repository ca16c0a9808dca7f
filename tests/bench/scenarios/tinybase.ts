/** TinyBase: relaying changes between the clients of a path, and stored paths. */

import type { Budget, Case, Contender, Dialogue, Scenario } from "../types.ts";
import { measureDrive } from "./drive.ts";
import { measureChange, measureFirstSync, measureFurtherSync } from "./tinybase/stored.ts";

const program = (file: string) => new URL(`./tinybase/${file}`, import.meta.url).pathname;
const deno = (file: string) => [Deno.execPath(), "run", "--quiet", "--allow-all", program(file)];

/** A change of one cell, as TinyBase's clients send it. */
const change = (path: string): Dialogue => ({
  path,
  message: '\n["$n",3,[[{"pets":[{"fido":[{"bio":["$payload","P6vlbfb----7JQY8"]}]}]}],[{}],1]]',
});

/** The contenders of this repository. */
export const tinybaseContenders: readonly Contender[] = [
  { name: "bare relay", command: deno("bare_relay.ts"), speaks: { relay: change("/pets") } },
  { name: "plugboard relay", command: deno("plugboard.ts"), speaks: { relay: change("/relay/pets") } },
  {
    name: "plugboard store",
    command: deno("plugboard.ts"),
    speaks: { relay: change("/sync/pets"), stored: change("/sync/pets") },
  },
];

/** Returns TinyBase's own server. `folder` has the packages `ws` and `tinybase`. */
export function wsServer(folder: string, node: readonly string[]): Contender {
  return {
    name: "WsServer",
    command: [...node, program("ws_server.mjs")],
    cwd: folder,
    speaks: { relay: change("/pets"), stored: change("/pets") },
  };
}

const relayBudgets: readonly Budget[] = [
  { contender: "plugboard relay", against: "bare relay", figure: "cpuMicros", atMost: 1.2 },
  { contender: "plugboard relay", against: "WsServer", figure: "cpuMicros", atMost: 1 },
  { contender: "plugboard relay", against: "WsServer", figure: "perSecond", atLeast: 1 },
];

function relay(clients: number, inFlight: number): Case {
  return {
    name: `relay of a change to ${clients - 1} of ${clients} clients, ${inFlight} in flight`,
    figure: "cpuMicros",
    budgets: relayBudgets,
    admits: ({ speaks }) => speaks["relay"] !== undefined,
    run: (contender, tools) =>
      measureDrive(contender, tools, "relay", {
        connections: clients,
        senders: 1,
        inFlight,
        deliveries: clients - 1,
      }),
  };
}

function firstSync(rows: number): Case {
  return {
    name: `first client of a stored path with ${rows} rows, after a restart`,
    figure: "p50",
    budgets: [
      { contender: "plugboard store", against: "WsServer", figure: "arrived", atMost: 0.2 },
      // A client's own merge is in both: of 10,000 rows, it alone takes more than this.
      { contender: "plugboard store", against: "WsServer", figure: "p50", atMost: 0.2 },
    ],
    admits: ({ speaks }) => speaks["stored"] !== undefined,
    run: (contender) => measureFirstSync(contender, rows),
  };
}

function furtherSync(rows: number): Case {
  return {
    name: `a further client of a stored path with ${rows} rows, after a change`,
    figure: "cpuMicros",
    budgets: [{ contender: "plugboard store", against: "WsServer", figure: "cpuMicros", atMost: 0.2 }],
    admits: ({ speaks }) => speaks["stored"] !== undefined,
    run: (contender) => measureFurtherSync(contender, rows),
  };
}

const change10k: Case = {
  name: "one cell changes in a stored path with 10000 rows",
  figure: "cpuMicros",
  budgets: [{ contender: "plugboard store", figure: "cpuMicros", atMost: 10_000 }],
  admits: ({ speaks }) => speaks["stored"] !== undefined,
  run: (contender) => measureChange(contender, 10_000),
};

/** Relaying to one client, to a few and to many; loading and storing. */
export const tinybaseScenario: Scenario = {
  name: "tinybase",
  cases: [
    relay(2, 1),
    relay(2, 16),
    relay(10, 1),
    relay(10, 16),
    relay(100, 16),
    firstSync(100),
    firstSync(1_000),
    firstSync(10_000),
    furtherSync(10_000),
    change10k,
  ],
};
