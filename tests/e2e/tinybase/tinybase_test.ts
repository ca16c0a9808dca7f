import assert from "node:assert/strict";
import fc from "fast-check";
import { createMergeableStore, type MergeableStore } from "tinybase";
import { until } from "../../kit/mod.ts";
import { converged, hashesOf, same, synced, type SyncedStore } from "../../plugins/tinybase/kit.ts";
import { ServerProcess } from "./process.ts";

/** Creates a temporary folder for one database. */
async function databaseFile() {
  const folder = await Deno.makeTempDir();
  return {
    file: `${folder}/plugboard.db`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Waits until the server responds with the hashes of a store, and so has saved its content. */
async function acknowledged({ socket }: SyncedStore, store: MergeableStore): Promise<void> {
  const serverHashes = async () => {
    const id = crypto.randomUUID();
    const answer = new Promise<string>((resolve) => {
      const hear = ({ data }: MessageEvent<string>) => {
        const [from, text] = data.split("\n") as [string, string];
        if (from !== "S" || !text.startsWith(`["${id}"`)) return;
        socket.removeEventListener("message", hear);
        resolve(JSON.parse(text)[2].join());
      };
      socket.addEventListener("message", hear);
    });
    socket.send(`S\n["${id}",1,""]`);
    return await answer;
  };
  await until("the acknowledgement", async () => await serverHashes() === hashesOf(store));
}

Deno.test("T15 acknowledged content survives kill -9, for a client that connects alone", async () => {
  await using database = await databaseFile();
  const a = createMergeableStore();
  for (let round = 0; round < 3; round++) {
    await using server = await ServerProcess.start(database.file);
    const url = `${server.url}/sync/team/pets`;
    const alone = createMergeableStore();
    const first = await synced(url, { store: alone });
    await converged(alone, a);
    if (round > 0) {
      same(alone.getTables(), { pets: { shared: { round: round - 1 }, [`own ${round - 1}`]: { n: 1 } } });
    }
    await first.close();
    const client = await synced(url, { store: a });
    a.setCell("pets", "shared", "round", round);
    a.setRow("pets", `own ${round}`, { n: 1 });
    if (round > 0) a.delRow("pets", `own ${round - 1}`);
    await acknowledged(client, a);
    await server.kill();
    await client.close();
  }
});

type Step =
  | { readonly do: "edit" | "drop" | "join" | "check"; readonly client: number; readonly n: number }
  | { readonly do: "kill" | "restart path" };

const CLIENTS = 5;

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant("edit" as const), client: fc.nat(CLIENTS - 1), n: fc.nat(999) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("drop" as const),
      client: fc.nat(CLIENTS - 1),
      n: fc.constant(0),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("join" as const),
      client: fc.nat(CLIENTS - 1),
      n: fc.constant(0),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("check" as const),
      client: fc.nat(CLIENTS - 1),
      n: fc.constant(0),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "kill" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "restart path" as const }) },
);

function edit(store: MergeableStore, n: number): void {
  const row = `r${n % 7}`;
  const cell = `c${n % 3}`;
  if (n % 5 === 0) store.delRow("t", row);
  else if (n % 5 === 1) store.delCell("t", row, cell, true);
  else if (n % 5 === 2) store.setValue(`v${n % 4}`, n);
  else if (n % 5 === 3) store.setCell("t", row, cell, { n } as never);
  else {store.transaction(() =>
      store.setCell("t", row, cell, n).setCell("t", row, "twin", n).delValue(`v${n % 4}`)
    );}
}

/** Returns the clock of every cell and value, including deleted ones. */
function clocksOf(store: MergeableStore): Map<string, string> {
  const [[tables], [values]] = store.getMergeableContent();
  const clocks = new Map<string, string>();
  for (const [table, [rows]] of Object.entries(tables)) {
    for (const [row, [cells]] of Object.entries(rows)) {
      for (const [cell, [, hlc]] of Object.entries(cells)) clocks.set(`${table}/${row}/${cell}`, hlc);
    }
  }
  for (const [value, [, hlc]] of Object.entries(values)) clocks.set(value, hlc);
  return clocks;
}

/** Five clients, a server, and the clocks that the server has acknowledged. */
class World {
  readonly stores: MergeableStore[] = Array.from({ length: CLIENTS }, () => createMergeableStore());
  readonly #online = new Map<number, SyncedStore>();
  readonly #acknowledged = new Map<string, string>();
  readonly #file: string;
  #server: ServerProcess;

  constructor(file: string, server: ServerProcess) {
    this.#file = file;
    this.#server = server;
  }

  async run(step: Step): Promise<void> {
    switch (step.do) {
      case "edit":
        return edit(this.stores[step.client]!, step.n);
      case "join":
        return await this.join(step.client);
      case "drop":
        return await this.#drop(step.client);
      case "check":
        return await this.#check(step.client);
      case "kill":
        await this.#server.kill();
        await this.#dropAll();
        this.#server = await ServerProcess.start(this.#file);
        return await this.#compare();
      case "restart path":
        return await this.#dropAll();
    }
  }

  async join(client: number): Promise<void> {
    if (this.#online.has(client)) return;
    const store = this.stores[client]!;
    // Every second one is multiplexed and uses fragments.
    const mode = client % 2 === 0 ? {} : { channel: "p", fragmentSize: 64 };
    const url = `${this.#server.url}/sync${client % 2 === 0 ? "/p" : ""}`;
    this.#online.set(client, await synced(url, { store, ...mode }));
  }

  async end(): Promise<void> {
    for (let i = 0; i < CLIENTS; i++) await this.join(i);
    await converged(...this.stores);
    await this.#check(0);
    await this.#dropAll();
    await this.#compare();
    await this.#server.kill();
  }

  async #drop(client: number): Promise<void> {
    await this.#online.get(client)?.close();
    this.#online.delete(client);
  }

  async #dropAll(): Promise<void> {
    for (const client of [...this.#online.keys()]) await this.#drop(client);
  }

  /** Waits for the server to acknowledge a client's content, and records it. */
  async #check(client: number): Promise<void> {
    const online = this.#online.get(client);
    if (online === undefined || client % 2 !== 0) return;
    await acknowledged(online, this.stores[client]!);
    for (const [key, hlc] of clocksOf(this.stores[client]!)) this.#acknowledged.set(key, hlc);
  }

  /** Checks that a client that connects alone receives everything acknowledged, or newer. */
  async #compare(): Promise<void> {
    await using alone = await synced(`${this.#server.url}/sync/p`);
    const clocks = clocksOf(alone.store);
    for (const [key, hlc] of this.#acknowledged) assert.ok((clocks.get(key) ?? "") >= hlc, `${key} was lost`);
  }
}

Deno.test("T14 T15 after any edits, drops, kills and restarts all stores are equal, and no acknowledged change is lost", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 60 }), async (steps) => {
      await using database = await databaseFile();
      const world = new World(database.file, await ServerProcess.start(database.file));
      for (const each of steps) await world.run(each);
      await world.end();
    }),
    { numRuns: Number(Deno.env.get("RUNS") ?? 5), endOnFailure: true },
  );
});
