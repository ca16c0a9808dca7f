/**
 * 100 clients write in a loop and wait for each acknowledgement. Prints the figures as JSON. Arguments: `rows` (one row per
 * write) or `publications` (ten durable channels per client); `grouped` (the store, the channels) or `single` (the same
 * statements on bare SQLite with a transaction each); the durability; the seconds.
 */

import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { type Durability, persistence } from "../../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../../plugins/sqlite_broker.ts";

const CLIENTS = 100;
const CHANNELS = 1_000;
const TABLE = "CREATE TABLE rows (id INTEGER PRIMARY KEY, client INTEGER, data TEXT)";
const INSERT = "INSERT INTO rows (client, data) VALUES (?, ?)";
const DATA = "x".repeat(100);

/** Writes once. Resolves when the write is acknowledged. */
type Write = (client: number) => Promise<unknown>;

interface Writer {
  readonly write: Write;
  close(): unknown;
}

let published = 0;

/** Each client publishes to its channels in turn. */
function nextChannel(client: number): string {
  return `channel ${(client + CLIENTS * published++) % CHANNELS}`;
}

async function grouped(path: string, durability: Durability, publishing: boolean): Promise<Writer> {
  const server = new Server({ port: false });
  const store = server.use(persistence({ path, durability }));
  const bus = server.use(channels({ broker: sqliteBroker({ store }) }));
  await server.start();
  await store.exec(TABLE);
  return {
    write: publishing
      ? (client) => bus.publish(nextChannel(client), DATA)
      : (client) => store.run(INSERT, [client, DATA]),
    close: () => server.stop(),
  };
}

function single(path: string, durability: Durability, publishing: boolean): Writer {
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability}; ${TABLE}; ${LOGS}`);
  const publish = publisher(db);
  const insert = db.prepare(INSERT);
  return {
    // Yields to the other clients and to the event loop.
    write: async (client) => {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (publishing) publish(client);
      else insert.run(client, DATA);
    },
    close: () => db.close(),
  };
}

/** The tables of the SQLite broker. */
const LOGS = `
  CREATE TABLE logs (id INTEGER PRIMARY KEY, channel TEXT NOT NULL UNIQUE, top INTEGER NOT NULL) STRICT;
  CREATE TABLE publications (
    log INTEGER NOT NULL, offset INTEGER NOT NULL, time INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (log, offset)
  ) STRICT, WITHOUT ROWID`;

function publisher(db: DatabaseSync): (client: number) => void {
  const [begin, commit] = ["BEGIN IMMEDIATE", "COMMIT"].map((sql) => db.prepare(sql));
  const log = db.prepare(
    "INSERT INTO logs (channel, top) VALUES (?, 1) ON CONFLICT (channel) DO UPDATE SET top = top + 1 RETURNING id, top",
  );
  const insert = db.prepare("INSERT INTO publications VALUES (?, ?, ?, ?)");
  const trim = db.prepare("DELETE FROM publications WHERE log = ? AND offset <= ?");
  return (client) => {
    begin!.run();
    const { id, top } = log.get(nextChannel(client)) as { id: number; top: number };
    insert.run(id, top, Date.now(), JSON.stringify(DATA));
    if (top % 32 === 0) trim.run(id, top - 100);
    commit!.run();
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

const [what, kind, durability, seconds] = Deno.args as [
  "rows" | "publications",
  "grouped" | "single",
  Durability,
  string,
];
const folder = Deno.makeTempDirSync();
try {
  const { write, close } = await (kind === "grouped" ? grouped : single)(
    `${folder}/a.db`,
    durability,
    what === "publications",
  );
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
