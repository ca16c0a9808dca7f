/** Tests `main.ts` with the permissions of the task `start`. */

import assert from "node:assert/strict";
import { createMergeableStore } from "tinybase";
import config from "../../../deno.json" with { type: "json" };
import { deno, root, type RunningExample, startExample } from "../../kit/example.ts";
import { Client, least, until } from "../../kit/mod.ts";
import { converged, synced } from "../../plugins/tinybase/kit.ts";

/** The command of the task. The task itself would survive a kill of its shell. */
const [program, ...START] = config.tasks.start.command.split(" ");
const FLAGS = START.slice(0, -1);

/** Returns a new data folder inside the one that the server has permission for. */
function dataFolder() {
  const path = `data/test-${crypto.randomUUID()}`;
  const remove = () => Deno.removeSync(new URL(path, root), { recursive: true });
  return { path, [Symbol.dispose]: remove };
}

const warnings = (server: RunningExample) =>
  server.printed().split("\n").filter((line) => /"level":"(WARN|ERROR|FATAL)"/.test(line));

Deno.test("B15 the server works with its named permissions and keeps its data", async () => {
  assert.deepEqual([program, START.at(-1)], ["deno", "main.ts"]);
  using data = dataFolder();
  const env = { DATA_DIR: data.path, DURABLE: "kept", JWT_SECRET: "", LOG_LEVEL: "warn" };
  const pets = createMergeableStore();
  {
    await using server = await startExample(START, { env });
    await using client = await Client.connect(`${server.url}/ws`);
    await client.nextJson();
    // 20 MB exceed the write-ahead log, so a worker runs a checkpoint.
    const publication = { type: "publish", channel: "kept:all", data: "x".repeat(50_000) };
    for (let i = 0; i < 40; i++) {
      for (let j = 0; j < 10; j++) client.sendJson(publication);
      for (let j = 0; j < 10; j++) assert.equal((await client.nextJson()).type, "published");
    }
    const database = new URL(`${data.path}/plugboard.db`, root);
    await until("a checkpoint", () => Deno.statSync(database).size > 1_000_000);
    client.sendJson({ type: "query:subscribe", data: { query: "home.ideas" } });
    assert.equal((await client.nextJson()).data.snapshot.rows.length, 3);
    client.sendJson({ type: "rpc", data: { method: "home.vote", params: { id: 1 } } });
    assert.equal((await client.nextJson()).data.upsert[0].votes, 1);
    await using sync = await synced(`${server.url}/sync/pets`, { store: pets });
    pets.setCell("dogs", "fido", "color", "brown");
    const log = new URL(`${data.path}/plugboard.db-wal`, root);
    await until("the saved store", () => Deno.readTextFileSync(log).includes("brown"));
    await sync.close();
    assert.deepEqual(warnings(server).filter((line) => !line.includes("no sign-in is configured")), []);
    await server.stop("SIGKILL");
  }
  await using server = await startExample(START, { env });
  await using client = await Client.connect(`${server.url}/ws`);
  await client.nextJson();
  client.sendJson({ type: "history", channel: "kept:all", data: { limit: 1 } });
  assert.equal((await client.nextJson()).data.offset, 400);
  await using sync = await synced(`${server.url}/sync/pets`);
  await converged(sync.store, pets);
  await sync.close();
  for (const path of ["/health", "/metrics", "/api/stats", "/live_rows.js"]) {
    const response = await fetch(server.url + path);
    await response.body?.cancel();
    assert.equal(response.status, 200, path);
  }
  assert.equal(await server.stop(), 0);
});

Deno.test("SQL of clients is off without --allow-run, says how to turn it on, and works with it", async () => {
  using data = dataFolder();
  const env = { DATA_DIR: data.path, JWT_SECRET: "" };
  const query = { sql: "SELECT value FROM json_each(?)", params: ["[1,2]"] };
  const ask = async (flags: string[]) => {
    await using server = await startExample([...FLAGS, ...flags, "main.ts"], { env });
    await using client = await Client.connect(`${server.url}/ws`);
    await client.nextJson(); // the acknowledgement
    client.sendJson({ type: "query:subscribe", data: query });
    return (await client.nextJson()).data;
  };
  const refused = await ask([]);
  assert.deepEqual([refused.code, /--allow-run/.test(refused.message)], ["NOT_AVAILABLE", true]);
  for (const flag of ["--allow-run", `--allow-run=${Deno.execPath()}`]) {
    assert.deepEqual((await ask([flag])).snapshot, { key: null, rows: [{ value: 1 }, { value: 2 }] }, flag);
  }
});

Deno.test("B15 the permissions allow only the network, the data folder and the settings", async () => {
  Deno.mkdirSync(new URL("data", root), { recursive: true });
  const attempts = new URL("attempts.ts", import.meta.url).pathname;
  const { stdout, stderr } = await deno([...FLAGS, attempts]).output();
  assert.equal(new TextDecoder().decode(stderr), "");
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), [
    "listen",
    "read its settings",
    "read its limits",
    "write to its folder",
  ]);
});

Deno.test("the permissions list exactly the settings", async () => {
  const { stdout } = await deno([...START, "--help"]).output();
  const names = new TextDecoder().decode(stdout).match(/^[A-Z][A-Z_]+/gm)!;
  const asked = names.filter((name) => !["HELP", "PRINT_CONFIG"].includes(name));
  const { env } = config.permissions.default;
  const limits = asked.filter((name) => name.startsWith("LIMIT_"));
  assert.ok(limits.length > 10);
  const settings = asked.filter((name) => !limits.includes(name));
  // Values of the configuration file may refer to variables with this beginning.
  assert.deepEqual([...env].sort(), [...settings, "LIMIT_*", "PLUGBOARD_*"].sort());
});

Deno.test("another data folder is refused with the flags that allow it, and works with them", async () => {
  const folder = await Deno.makeTempDir();
  const env = { DATA_DIR: `${folder}/sub`, PORT: "0" };
  try {
    const { code, stderr } = await deno(START, { env }).output();
    assert.equal(code, 1);
    const sentence = new TextDecoder().decode(stderr);
    const [, flags = ""] = sentence.match(/may not use that folder; run it with (.*)/) ?? [];
    assert.deepEqual(
      flags.split(" "),
      [`--allow-read=${folder}/sub`, `--allow-write=${folder}/sub`],
      sentence,
    );
    await using server = await startExample([...FLAGS, ...flags.split(" "), "main.ts"], { env });
    assert.equal(await server.stop(), 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the task `start` answers within three seconds and stops on SIGTERM", async () => {
  using data = dataFolder();
  // Three seconds on a machine where the bare runtime starts in a tenth of a second.
  const bare = await least(100, async () => {
    const since = performance.now();
    await deno(["eval", "0"]).output();
    return performance.now() - since;
  });
  const bound = 30 * Math.max(100, bare);
  const took = await least(bound, async () => {
    const since = performance.now();
    await using server = await startExample(["task", "--quiet", "start"], { env: { DATA_DIR: data.path } });
    const took = performance.now() - since;
    assert.equal(await server.stop(), 0);
    return took;
  });
  assert.ok(took < bound, `the server took ${took} ms to start, the bare runtime ${bare} ms`);
});
