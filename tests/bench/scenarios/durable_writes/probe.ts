/**
 * 100 clients write a row each and wait for its acknowledgement before the next, for some seconds; prints what
 * came of it as JSON. Arguments: `grouped` (the store) or `single` (bare SQLite, a transaction each), the
 * durability, the seconds.
 */

import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { Server } from "../../../../core/mod.ts";
import { type Durability, persistence } from "../../../../plugins/persistence.ts";

const CLIENTS = 100;
const TABLE = "CREATE TABLE rows (id INTEGER PRIMARY KEY, client INTEGER, data TEXT)";
const INSERT = "INSERT INTO rows (client, data) VALUES (?, ?)";
const DATA = "x".repeat(100);

/** Writes one row; settles when it is acknowledged. */
type Write = (client: number) => Promise<unknown>;

async function grouped(
  path: string,
  durability: Durability,
): Promise<{ write: Write; close: () => unknown }> {
  const server = new Server({ port: false });
  const store = server.use(persistence({ path, durability }));
  await server.start();
  await store.exec(TABLE);
  return { write: (client) => store.run(INSERT, [client, DATA]), close: () => server.stop() };
}

function single(path: string, durability: Durability): { write: Write; close: () => unknown } {
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability}; ${TABLE}`);
  const insert = db.prepare(INSERT);
  return {
    // Each client has its turn, and the loop its other work.
    write: async (client) => {
      await new Promise<void>((resolve) => setImmediate(resolve));
      insert.run(client, DATA);
    },
    close: () => db.close(),
  };
}

async function measure(write: Write, seconds: number) {
  const waits: number[] = [];
  const end = performance.now() + seconds * 1000;
  const client = async (_: unknown, i: number) => {
    for (let now = performance.now(); now < end;) {
      await write(i);
      const then = now;
      now = performance.now();
      waits.push(now - then);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return waits.sort((a, b) => a - b);
}

const [kind, durability, seconds] = Deno.args as ["grouped" | "single", Durability, string];
const folder = Deno.makeTempDirSync();
try {
  const { write, close } = await (kind === "grouped" ? grouped : single)(`${folder}/a.db`, durability);
  await measure(write, 0.2);
  const cpu = process.cpuUsage();
  const waits = await measure(write, Number(seconds));
  const { user, system } = process.cpuUsage();
  const at = (share: number) => waits[Math.floor(waits.length * share)]! * 1000;
  const figures = {
    perSecond: waits.length / Number(seconds),
    cpuMicros: (user + system - cpu.user - cpu.system) / waits.length,
    p50: at(0.5),
    p99: at(0.99),
  };
  await close();
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(figures)));
} finally {
  Deno.removeSync(folder, { recursive: true });
}
