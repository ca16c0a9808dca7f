/** Webhooks: the deliveries of others while events wait for a receiver that has problems. */

import { startServer } from "../server_process.ts";
import type { Case, Measurement, Scenario, Tools } from "../types.ts";
import { measureBeside } from "./beside.ts";

const SERVER = new URL("./webhooks/server.ts", import.meta.url).pathname;

/** How a receiver answers. */
type Answer = () => Response | Promise<Response>;

async function measure(answer: Answer, tools: Tools): Promise<Measurement> {
  const folder = await Deno.makeTempDir();
  const end = new AbortController();
  const listen = { port: 0, hostname: "127.0.0.1", signal: end.signal, onListen() {} };
  const receiver = Deno.serve(listen, async (request) => {
    await request.bytes();
    return await answer();
  });
  const url = `http://127.0.0.1:${receiver.addr.port}/events`;
  try {
    const command = [Deno.execPath(), "run", "--quiet", "--allow-all", SERVER, folder, url];
    await using server = await startServer({ name: "webhooks", command, speaks: {} });
    return await measureBeside(server, tools, { busy: "hooked", quiet: "free" });
  } finally {
    end.abort(); // a shutdown would wait for answers
    await receiver.finished;
    await Deno.remove(folder, { recursive: true });
  }
}

function beside(receiver: string, answer: Answer): Case {
  return {
    name: `deliveries of others beside 2,000 events a second for a receiver that ${receiver}, against none`,
    figure: "p99",
    budgets: [{ contender: "kernel", figure: "times", atMost: 1.2 }],
    admits: ({ name }) => name === "kernel",
    run: (_, tools) => measure(answer, tools),
  };
}

/** Receivers of every kind. */
export const webhooksScenario: Scenario = {
  name: "webhooks",
  cases: [
    beside("accepts them", () => new Response()),
    beside("answers 500", () => new Response(null, { status: 500 })),
    beside("does not answer", () => new Promise(() => {})),
  ],
};
