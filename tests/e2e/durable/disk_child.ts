/**
 * Publishes from 20 publishers to durable channels while the disk fails and recovers. Exits with an error if an
 * acknowledged publication is missing afterwards. Arguments: the fault and the folder.
 */

import assert from "node:assert/strict";
import { Server } from "../../../core/mod.ts";
import { type Channels, channels } from "../../../plugins/channels.ts";
import { health } from "../../../plugins/health.ts";
import { persistence, type PersistenceOptions, type Store } from "../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { until } from "../../kit/mod.ts";

const CHANNELS = 4;
const PUBLISHERS = 20;

const [fault, folder] = Deno.args as [string, string];
const path = `${folder}/log.db`;

interface Fault {
  /** The errors that publishers may get. */
  readonly codes: readonly string[];
  /** Whether publishers may notice nothing. */
  readonly unnoticed?: boolean;
  begin(): void;
  end(): void;
  readonly options?: PersistenceOptions;
  /** Whether reads fail too. */
  readonly noReads?: boolean;
  /** Whether refused publications may be in the log. */
  readonly uncertain?: boolean;
}

const faults: Record<string, Fault> = {
  full: { codes: ["disk_full"], begin: fillDisk, end: () => Deno.removeSync(`${folder}/fill`) },
  // For SQLite it is like any write that the system refuses.
  limited: { codes: ["disk_error"], begin: () => limitFiles("65536"), end: () => limitFiles("unlimited") },
  // SQLite reports some pages that it cannot read as damage.
  reads: {
    ...failing("pread64", "log.db"),
    codes: ["corrupt", "disk_error"],
    options: { cacheBytes: 40_960 },
    unnoticed: true,
    noReads: true,
  },
  writes: { ...failing("pwrite64", "log.db-wal"), codes: ["disk_error"] },
  checkpoints: { ...failing("pwrite64", "log.db"), codes: [], unnoticed: true },
  flushes: {
    ...failing("fdatasync", "log.db-wal"),
    codes: ["disk_error"],
    options: { durability: "full" },
    uncertain: true,
  },
};

/** Lets a call on a file fail; see `faults.c`. */
function failing(call: string, file: string): Pick<Fault, "begin" | "end"> {
  const rule = `${Deno.env.get("FAULTS")}/${call}`;
  return { begin: () => Deno.writeTextFileSync(rule, file), end: () => Deno.removeSync(rule) };
}

function fillDisk(): void {
  using file = Deno.openSync(`${folder}/fill`, { create: true, write: true });
  try {
    for (;;) file.writeSync(new Uint8Array(4096));
  } catch (error) {
    assert.match(String(error), /No space left/);
  }
}

function limitFiles(bytes: string): void {
  const args = ["--pid", String(Deno.pid), `--fsize=${bytes}:unlimited`];
  assert.ok(new Deno.Command("prlimit", { args }).outputSync().success);
}

async function start() {
  const server = new Server({ port: 0 });
  const store = server.use(persistence({ path, checkpointBytes: 262_144, ...faults[fault]!.options }));
  server.use(health({ checks: [() => store.problem] }));
  const kept = { broker: sqliteBroker({ store }), historySize: 1_000_000, historyMs: 86_400_000 };
  const bus = server.use(channels({ namespaces: { kept } }));
  await server.start();
  return { server, store, bus };
}

/** Publishes continuously, and records what was acknowledged and what was refused. */
class Load {
  /** By channel: acknowledged data by offset. */
  readonly acknowledged = Array.from({ length: CHANNELS }, () => new Map<number, string>());
  readonly refusals = new Map<string, number>();
  count = 0;
  #running = true;
  readonly #ended: Promise<unknown>;

  constructor(bus: Channels) {
    this.#ended = Promise.all(Array.from({ length: PUBLISHERS }, (_, i) => this.#publish(bus, i)));
  }

  async #publish(bus: Channels, publisher: number): Promise<void> {
    const known = this.acknowledged[publisher % CHANNELS]!;
    for (let n = 0; this.#running; n++) {
      const data = `${publisher}/${n}`;
      try {
        const { offset } = await bus.publish(`kept:${publisher % CHANNELS}`, data);
        assert.ok(!known.has(offset), "an offset was assigned twice");
        known.set(offset, JSON.stringify(data));
        this.count++;
      } catch (error) {
        const { code } = error as { code: string };
        this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#ended;
  }
}

async function statusOf(server: Server): Promise<number> {
  const response = await fetch(`${server.address.url}/health`);
  await response.body?.cancel();
  return response.status;
}

async function publishThroughTheFault(
  { server, store, bus }: { server: Server; store: Store; bus: Channels },
) {
  const { begin, end, codes, unnoticed, noReads } = faults[fault]!;
  const load = new Load(bus);
  await until("some publications", () => load.count > 500);
  begin();
  const before = load.count;
  if (!unnoticed) await until("refusals", () => (load.refusals.get(codes[0]!) ?? 0) > 100);
  await until("a problem", () => store.problem !== undefined);
  assert.equal(await statusOf(server), 503);
  assert.equal((await bus.publish("free:a", 1)).offset, 1, "memory channels work");
  if (!noReads) {
    assert.ok((await bus.history("kept:0", { limit: 1 })).publications.length === 1, "reads work");
  }
  end();
  await until("publications", () => load.count > before + 500);
  await load.stop(); // or it would fill the disk by itself
  await until("the problem to be cleared", () => store.problem === undefined, 60_000);
  assert.equal(await statusOf(server), 200);
  for (const code of load.refusals.keys()) assert.ok(codes.includes(code), code);
  return load.acknowledged;
}

const first = await start();
const acknowledged = await publishThroughTheFault(first);
await first.server.stop();
const second = await start();
for (const [i, known] of acknowledged.entries()) {
  const { publications, top } = await second.bus.history(`kept:${i}`);
  assert.deepEqual(
    publications.map(({ offset }) => offset),
    Array.from({ length: top.offset }, (_, n) => n + 1),
  );
  for (const [offset, json] of known) assert.equal(publications[offset - 1]?.payload.text, json);
  if (!faults[fault]!.uncertain) {
    assert.equal(known.size, top.offset, "refused publications are not in the log");
  }
}
await second.server.stop();
