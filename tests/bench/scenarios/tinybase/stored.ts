/** Measures stored paths: the time to sync the first client, and the cost of a change. */

import { createMergeableStore, type MergeableStore } from "tinybase";
import { createWsSynchronizer, type WsSynchronizer } from "tinybase/synchronizers/synchronizer-ws-client";
import { cpuSeconds } from "../../os.ts";
import { startServer } from "../../server_process.ts";
import type { Contender, Measurement } from "../../types.ts";

/** Time for a server to store changes that it does not acknowledge. */
const STORING_MS = 1_500;
const CHANGES = 200;
const NEWCOMERS = 5;
const DEADLINE_MS = 30_000;

/** Seeds a path, restarts the server, and measures the sync of the first client. */
export async function measureFirstSync(contender: Contender, rows: number): Promise<Measurement> {
  await using folder = await dataFolder();
  const { path } = contender.speaks["stored"]!;
  const started = { ...contender, command: [...contender.command, folder.path] };
  {
    await using server = await startServer(started);
    await seed(`ws://127.0.0.1:${server.port}${path}`, rows);
  }
  await using server = await startServer(started);
  const store = createMergeableStore();
  const before = cpuSeconds(server.pid);
  const from = performance.now();
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}`);
  let longest = 0;
  let arrived = 0;
  socket.addEventListener("message", ({ data }) => {
    if (data.length <= longest) return;
    longest = data.length;
    arrived = (performance.now() - from) * 1000;
  });
  const synchronizer = await createWsSynchronizer(store, socket);
  synchronizer.startSync();
  await until(() => store.getRowCount("pets") === rows);
  const p50 = (performance.now() - from) * 1000;
  await pause(STORING_MS); // a server may still merge the content itself
  const cpuMicros = (cpuSeconds(server.pid) - before) * 1e6;
  await synchronizer.destroy();
  return { figures: { p50, arrived, cpuMicros }, notes: [] };
}

/** Measures the server's CPU time for the content that a client with an empty store receives, each after a change. */
export async function measureFurtherSync(contender: Contender, rows: number): Promise<Measurement> {
  await using folder = await dataFolder();
  await using server = await startServer({ ...contender, command: [...contender.command, folder.path] });
  const url = `ws://127.0.0.1:${server.port}${contender.speaks["stored"]!.path}`;
  await seed(url, rows);
  const writer = createMergeableStore();
  const synchronizer = await connect(url, writer);
  await synchronizer.startSync();
  await until(() => writer.getRowCount("pets") === rows);
  const cpu: number[] = [];
  const times: number[] = [];
  for (let i = 0; i < NEWCOMERS; i++) {
    writer.setCell("pets", "pet 7", "age", -i - 1);
    await pause(STORING_MS);
    const before = cpuSeconds(server.pid);
    times.push(await receiveAll(url));
    cpu.push(cpuSeconds(server.pid) - before);
  }
  await synchronizer.destroy();
  const sum = (all: readonly number[]) => all.reduce((total, each) => total + each, 0);
  const arrived = sum(times) * 1000 / NEWCOMERS;
  return { figures: { arrived, cpuMicros: sum(cpu) * 1e6 / NEWCOMERS }, notes: [] };
}

/** Requests all tables as a client with an empty store does. Returns the milliseconds until they arrive. */
async function receiveAll(url: string): Promise<number> {
  const from = performance.now();
  const socket = new WebSocket(url);
  const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
  await new Promise<void>((resolve) => {
    socket.onopen = () => socket.send('S\n["tables",4,{}]');
    socket.onmessage = ({ data }) => void (data.includes('["tables",0,') && resolve());
  });
  const ms = performance.now() - from;
  socket.close();
  await closed;
  return ms;
}

/** Measures the server's CPU time for a changed cell in a large store, including storing it. */
export async function measureChange(contender: Contender, rows: number): Promise<Measurement> {
  await using folder = await dataFolder();
  await using server = await startServer({ ...contender, command: [...contender.command, folder.path] });
  const url = `ws://127.0.0.1:${server.port}${contender.speaks["stored"]!.path}`;
  await seed(url, rows);
  const store = createMergeableStore();
  const synchronizer = await connect(url, store);
  await synchronizer.startSync();
  await until(() => store.getRowCount("pets") === rows);
  await pause(STORING_MS);
  const before = cpuSeconds(server.pid);
  for (let i = 0; i < CHANGES; i++) {
    store.setCell("pets", `pet ${i * 7 % rows}`, "age", -i);
    await pause(10); // changes arrive one by one
  }
  await pause(STORING_MS);
  const cpuMicros = (cpuSeconds(server.pid) - before) * 1e6 / CHANGES;
  await synchronizer.destroy();
  return { figures: { cpuMicros }, notes: [] };
}

async function seed(url: string, rows: number): Promise<void> {
  const store = createMergeableStore();
  const synchronizer = await connect(url, store);
  await synchronizer.startSync();
  store.transaction(() => {
    for (let i = 0; i < rows; i++) {
      store.setRow("pets", `pet ${i}`, { name: `name ${i}`, age: i, sold: i % 2 === 0 });
    }
  });
  // The server has everything once another client has received it.
  const other = createMergeableStore();
  const check = await connect(url, other);
  while (other.getRowCount("pets") < rows) {
    await check.startSync();
    await pause(STORING_MS);
  }
  await check.destroy();
  await synchronizer.destroy();
  await pause(STORING_MS);
}

function connect(url: string, store: MergeableStore): Promise<WsSynchronizer<WebSocket>> {
  return createWsSynchronizer(store, new WebSocket(url));
}

async function dataFolder() {
  const path = await Deno.makeTempDir({ prefix: "bench-tinybase-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error("The store did not arrive");
    await pause(1);
  }
}
