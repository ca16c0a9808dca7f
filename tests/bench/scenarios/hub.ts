/** The hub: the memory of 10,000 users, and the latency of a message to one of them. */

import { memoryKilobytes, openFilesLimit } from "../os.ts";
import { startServer } from "../server_process.ts";
import type { Contender, Measurement, Scenario, Tools } from "../types.ts";
import { connectAll } from "./auth/connects.ts";
import { sendsTo } from "./hub/sends.ts";

const SERVER = new URL("./hub/server.ts", import.meta.url).pathname;

const USERS = 10_000;
const SENDS_PER_SECOND = 1_000;
const OTHER_FILES = 200;

/** Connections before the measurement, to exclude the cost of compiling code. */
const FIRST_USERS = 200;

/** Time to free the memory that only connecting needed. */
const SETTLE_MS = 3_000;

/** Returns the URLs of users with a session each, limited by the number of open files. */
function users(prefix: string): readonly string[] {
  const count = Math.min(USERS, openFilesLimit() - OTHER_FILES);
  return Array.from({ length: count }, (_, i) => `${prefix}?userId=u${i}&sessionId=s${i}`);
}

/** Replaces the kernel by the hub. */
const asHub = (contender: Contender): Contender => {
  if (contender.name === "bare") return contender;
  return { ...contender, command: [Deno.execPath(), "run", "--quiet", "--allow-all", SERVER] };
};

async function measureMemory(contender: Contender): Promise<Measurement> {
  const paths = users(contender.name === "bare" ? "/room" : "/ws");
  await using server = await startServer(asHub(contender));
  const first = await connectAll(server.port, paths.slice(0, FIRST_USERS));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const before = memoryKilobytes(server.pid);
  const rest = await connectAll(server.port, paths.slice(FIRST_USERS));
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const count = paths.length - FIRST_USERS;
  const kilobytes = (memoryKilobytes(server.pid) - before) / count;
  first.close();
  rest.close();
  return { figures: { kilobytes, perSecond: count / rest.seconds }, notes: [] };
}

async function measureSends(contender: Contender, { seconds }: Tools): Promise<Measurement> {
  await using server = await startServer(asHub(contender));
  const { sockets } = await connectAll(server.port, users("/ws"));
  const { latencies, lost } = await sendsTo(server.port, sockets, SENDS_PER_SECOND, Math.max(2, seconds));
  const at = (q: number) => latencies[Math.floor(latencies.length * q)]!;
  const notes = lost > 0 ? [`${lost} messages did not arrive`] : [];
  return { figures: { p50: at(0.5), p99: at(0.99), p999: at(0.999) }, notes };
}

/** 10,000 users of the hub with a connection and a session each. */
export const hubScenario: Scenario = {
  name: "hub",
  cases: [{
    name: `${USERS} users of the hub`,
    figure: "kilobytes",
    budgets: [{ contender: "kernel", against: "bare", figure: "kilobytes", atMost: 1.3 }],
    admits: ({ name }) => name === "bare" || name === "kernel",
    run: measureMemory,
  }, {
    name: `${SENDS_PER_SECOND} sends a second to ${USERS} users`,
    figure: "p50",
    budgets: [{ contender: "kernel", figure: "p50", atMost: 1_000 }],
    admits: ({ name }) => name === "kernel",
    run: measureSends,
  }],
};
