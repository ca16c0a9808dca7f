/** Deltas and tag filters: documents of 2 KB with one changed field, against the same without. */

import type { Budget, Case, Contender, Dialogue, Measurement, Scenario, Tools } from "../types.ts";
import { measureDrive } from "./drive.ts";

const script = (name: string) => new URL(`./deltas/${name}.ts`, import.meta.url).pathname;
const deno = (name: string) => ["run", "--quiet", "--allow-all", script(name)];

const READERS = 1_000;

/** A client that calls `publish`, and subscribes with these members. */
const dialogue = (members: string): Dialogue => ({
  path: "/connection/websocket",
  hello: [`{"connect":{},"id":1}\n{"subscribe":{"channel":"room"${members}},"id":2}`],
  ready: '"id":2,"subscribe"',
  message: '{"rpc":{"method":"publish","data":"$payload"},"id":3}',
  ping: { frame: "{}", answer: "{}" },
});

const server: Contender = {
  name: "deltas",
  command: [Deno.execPath(), ...deno("server")],
  speaks: {
    plain: dialogue(""),
    delta: dialogue(',"delta":"fossil"'),
    filter: dialogue(',"tf":{"key":"kind","cmp":"eq","val":"document"}'),
  },
};

/** Measures deliveries over sockets, to subscribers of a kind and to plain ones. */
async function deliveries(kind: string, tools: Tools): Promise<Measurement> {
  const traffic = { connections: READERS, senders: 1, inFlight: 1, deliveries: READERS };
  const plain = await measureDrive(server, tools, "plain", traffic);
  const other = await measureDrive(server, tools, kind, traffic);
  const times = other.figures.cpuMicros! / plain.figures.cpuMicros!;
  return { figures: { ...other.figures, times }, notes: [...plain.notes, ...other.notes] };
}

/** Measures publishes in one process. Its `bytes` are a ratio, too. */
async function probe(): Promise<Measurement> {
  const command = new Deno.Command(Deno.execPath(), { args: deno("probe"), stderr: "inherit" });
  const { success, stdout } = await command.output();
  if (!success) throw new Error("The probe of deltas failed");
  return { figures: JSON.parse(new TextDecoder().decode(stdout)), notes: [] };
}

function one(name: string, budgets: readonly Omit<Budget, "contender">[], run: Case["run"]): Case {
  return {
    name,
    figure: "times",
    budgets: budgets.map((budget) => ({ contender: "plugboard", ...budget })),
    admits: ({ name }) => name === "plugboard",
    run,
  };
}

/** What deltas and filters cost, and what deltas save. */
export const deltasScenario: Scenario = {
  name: "deltas",
  cases: [
    one(
      "a publish of 2 KB to one subscriber with deltas: CPU and bytes, against a plain one",
      [{ figure: "times", atMost: 3 }, { figure: "bytes", atMost: 0.1 }],
      probe,
    ),
    one(
      `a delivery to one of ${READERS} subscribers with deltas, against plain ones`,
      [{ figure: "times", atMost: 1.05 }],
      (_, tools) => deliveries("delta", tools),
    ),
    one(
      `a delivery to one of ${READERS} subscribers that share a filter, against plain ones`,
      [{ figure: "times", atMost: 1.05 }],
      (_, tools) => deliveries("filter", tools),
    ),
  ],
};
