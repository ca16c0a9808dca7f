/** The HTTP API: publications of a backend to a channel with one subscriber. */

import { cpuSeconds } from "../os.ts";
import { startServer } from "../server_process.ts";
import type { Contender, Measurement, Scenario, Tools } from "../types.ts";
import { requestsPerSecond } from "./http_api/backend.ts";

const CONNECTIONS = 8;
const IN_BATCH = 100;

const file = (name: string) => new URL(`./http_api/${name}.ts`, import.meta.url).pathname;

/** The server of the API, or a bare route. */
const asServer = (contender: Contender): Contender => {
  if (contender.name === "centrifugo") return contender;
  const program = file(contender.name === "bare" ? "bare" : "server");
  return { ...contender, command: [Deno.execPath(), "run", "--quiet", "--allow-all", program] };
};

const PUBLISH = {
  channel: "news",
  data: { title: "An order has left the warehouse", number: 48, tags: ["a", "b"] },
};

/** Subscribes a client, which discards what it receives. */
async function subscribe(port: number): Promise<AsyncDisposable> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/connection/websocket`);
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => socket.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"news"}}');
    socket.onmessage = ({ data }) => String(data).includes('"id":2') && resolve();
    socket.onerror = () => reject(new Error("The subscriber cannot connect"));
  });
  socket.onmessage = null;
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => socket.onclose = resolve);
      socket.close();
      await closed;
    },
  };
}

async function measure(contender: Contender, { seconds }: Tools, perRequest = 1): Promise<Measurement> {
  await using server = await startServer(asServer(contender));
  await using _subscriber = contender.name === "bare" ? undefined : await subscribe(server.port);
  const commands = Array(perRequest).fill({ publish: PUBLISH });
  const request = perRequest === 1
    ? { path: "/api/publish", body: JSON.stringify(PUBLISH) }
    : { path: "/api/batch", body: JSON.stringify({ commands }) };
  await requestsPerSecond(server.port, { ...request, connections: CONNECTIONS, seconds: 1 });
  const before = cpuSeconds(server.pid);
  const perSecond = perRequest *
    await requestsPerSecond(server.port, { ...request, connections: CONNECTIONS, seconds });
  const cpuMicros = (cpuSeconds(server.pid) - before) * 1e6 / (perSecond * seconds);
  return { figures: { perSecond, cpuMicros }, notes: [] };
}

/** Measures batches against single publications in the same round. */
async function measureBatches(contender: Contender, tools: Tools): Promise<Measurement> {
  const single = await measure(contender, tools);
  const batches = await measure(contender, tools, IN_BATCH);
  const times = batches.figures.perSecond! / single.figures.perSecond!;
  return { figures: { ...batches.figures, times }, notes: [] };
}

/** Requests of backends. */
export const httpApiScenario: Scenario = {
  name: "http_api",
  cases: [{
    name: "a publication over HTTP to one subscriber, against a route that only parses it",
    figure: "perSecond",
    budgets: [
      { contender: "kernel", against: "bare", figure: "perSecond", atLeast: 0.6 },
      { contender: "kernel", against: "centrifugo", figure: "cpuMicros", atMost: 1.2 },
    ],
    admits: ({ name }) => ["bare", "kernel", "centrifugo"].includes(name),
    run: (contender, tools) => measure(contender, tools),
  }, {
    name: `publications in batches of ${IN_BATCH}, against single ones`,
    figure: "times",
    budgets: [{ contender: "kernel", figure: "times", atLeast: 10 }],
    admits: ({ name }) => name === "kernel",
    run: measureBatches,
  }],
};
