/** The one script that `deno task bundle` makes of everything, which `deno task compile` wraps into an executable. */

import assert from "node:assert/strict";
import { createMergeableStore } from "tinybase";
import config from "../../../deno.json" with { type: "json" };
import { heard, sdkClient } from "../../kit/centrifuge.ts";
import { deno, root, startExample } from "../../kit/example.ts";
import { Client, until } from "../../kit/mod.ts";
import { converged, synced } from "../../plugins/tinybase/kit.ts";

/** Bundles the server into an empty folder, for a runtime without packages. */
async function bundle() {
  const folder = await Deno.makeTempDir();
  const [program, ...args] = config.tasks.bundle.command.split(" ");
  assert.equal(program, "deno");
  const file = `${folder}/plugboard.js`;
  const { success, stderr } = await deno(args.map((arg) => arg === "dist/plugboard.js" ? file : arg))
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const env = { DENO_DIR: `${folder}/cache`, DURABLE: "kept" };
  const run = ["run", "--quiet", "--no-prompt", "--cached-only", "--no-remote", "--no-npm"];
  const allowed = ["--allow-net", "--allow-env", "--allow-read=data", "--allow-write=data"];
  return {
    async imports(): Promise<string[]> {
      const { stdout } = await deno(["info", "--json", "--no-config", file]).output();
      const { modules: [{ dependencies }] } = JSON.parse(new TextDecoder().decode(stdout));
      return dependencies.map(({ specifier }: { specifier: string }) => specifier);
    },
    start: (more: Record<string, string> = {}) =>
      startExample([...run, ...allowed, "plugboard.js"], { cwd: folder, env: { ...env, ...more } }),
    folder,
    /** Runs a copy of an example that is only files. */
    startNoCode: () =>
      startExample([
        ...run,
        "--allow-net",
        "--allow-env",
        "--allow-read",
        "--allow-write=data",
        "plugboard.js",
      ], {
        cwd: folder,
        env: { DENO_DIR: env.DENO_DIR },
      }),
    database: `${folder}/data/plugboard.db`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Fetches a page and everything it references: attributes, import maps and imports. */
async function assetsOf(url: string, seen = new Set<string>()): Promise<Set<string>> {
  if (seen.has(url) || new URL(url).origin !== new URL([...seen][0] ?? url).origin) return seen;
  seen.add(url);
  const response = await fetch(url);
  const text = await response.text();
  assert.equal(response.status, 200, url);
  if (!/html|javascript/.test(response.headers.get("content-type")!)) return seen;
  const names = text.matchAll(/(?:href|src)="([^"#]+)"|^import [^"]*"(\.[^"]+)"|": "(\.?\/[^"]+)"/gm);
  for (const [, ...found] of names) {
    await assetsOf(new URL(found.find((name) => name !== undefined)!, url).href, seen);
  }
  return seen;
}

/** Loaded by a function of the Redis client that nothing calls. */
const UNUSED = "@node-rs/xxhash";

Deno.test("B15 the bundle works in an empty folder without packages", async () => {
  await using built = await bundle();
  const packages = (await built.imports()).filter((name) => !name.startsWith("node:") && name !== UNUSED);
  assert.deepEqual(packages, []);

  await using server = await built.start();
  const page = await assetsOf(`${server.url}/`);
  assert.ok(page.size > 5, [...page].join(" "));
  const dashboard = await assetsOf(`${server.url}/admin`);
  assert.ok(dashboard.size > 25, [...dashboard].join(" "));
  for (const path of ["/health", "/metrics", "/api/stats", "/live_rows.js", "/chat/rooms"]) {
    await assetsOf(server.url + path);
  }

  await using client = sdkClient(server.url);
  const subscription = client.sdk.newSubscription("kept:news");
  const publications = heard(subscription, "publication");
  const subscribed = heard(subscription, "subscribed");
  subscription.subscribe();
  client.sdk.connect();
  await subscribed.next();
  // 20 MB exceed the write-ahead log, so the worker inside the bundle runs a checkpoint.
  const text = "x".repeat(50_000);
  for (let i = 0; i < 40; i++) {
    await Promise.all(Array.from({ length: 10 }, () => subscription.publish({ text })));
  }
  for (let i = 0; i < 400; i++) assert.equal((await publications.next()).data.text.length, text.length);
  await until("a checkpoint", () => Deno.statSync(built.database).size > 1_000_000);

  const live = client.sdk.newSubscription("live:home.ideas");
  const [snapshots, diffs] = [heard(live, "subscribed"), heard(live, "publication")];
  live.subscribe();
  assert.equal((await snapshots.next()).data.rows.length, 3);
  await client.sdk.rpc("home.vote", { id: 1 });
  assert.equal((await diffs.next()).data.upsert[0].votes, 1);

  const pets = createMergeableStore();
  await using one = await synced(`${server.url}/sync/pets`, { store: pets });
  await using two = await synced(`${server.url}/sync/pets`);
  pets.setCell("dogs", "fido", "color", "brown");
  await until("the other store to sync", () => two.store.hasTable("dogs"));
  await converged(pets, two.store);
  await one.close();
  await two.close();

  await using alice = await Client.connect(`${server.url}/chat/ws/general/Alice`);
  assert.equal((await alice.nextJson()).Content, "Welcome to General Chat, Alice!");
});

Deno.test("B21 the bundle runs the example without code from an empty folder", async () => {
  await using built = await bundle();
  const example = new URL("examples/no_code/", root).pathname;
  for (const name of ["plugboard.json", "migrations", "pages"]) {
    const { success } = await new Deno.Command("cp", { args: ["-r", example + name, built.folder] }).output();
    assert.ok(success);
  }
  await using server = await built.startNoCode();
  assert.match(await (await fetch(`${server.url}/`)).text(), /<title>Orders/);
  const call = async (method: string, params: unknown) =>
    await (await fetch(`${server.url}/api/${method}`, { method: "POST", body: JSON.stringify(params) }))
      .json();
  const added = await call("rpc", { method: "addOrder", params: { customer: "Ada", total: 3 } });
  assert.deepEqual(added.result.data, { id: 1 });
  const { rows } = (await call("query", { name: "turnover" })).result;
  assert.deepEqual(rows, [{ status: "pending", orders: 1, total: 3 }]);
});

Deno.test("B20 the bundle holds sockets in workers, without packages and with the same permissions", async () => {
  await using built = await bundle();
  await using server = await built.start({ WORKERS: "2" });
  const health = async () => (await (await fetch(`${server.url}/health`)).json()).status;
  await until("the start of all workers", async () => await health() === "healthy");
  for (const way of ["websocket", "http_stream"] as const) {
    await using client = sdkClient(server.url, way);
    const subscription = client.sdk.newSubscription("kept:news");
    const publications = heard(subscription, "publication");
    subscription.subscribe();
    client.sdk.connect();
    await subscription.ready();
    await subscription.publish({ way });
    assert.deepEqual((await publications.next()).data, { way });
  }
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(metrics, /^plugboard_worker_connections\{worker="2"\} \d+$/m);
  assert.equal(await server.stop(), 0);
});

Deno.test("B15 no source file locates other files at run time", () => {
  const sources = (folder: string): string[] =>
    [...Deno.readDirSync(new URL(folder, root))].flatMap(({ name, isDirectory }) =>
      isDirectory ? sources(`${folder}${name}/`) : name.endsWith(".ts") ? [`${folder}${name}`] : []
    );
  const all = ["main.ts", ...sources("core/"), ...sources("plugins/")];
  assert.ok(all.length > 100);
  // A bundle contains all imports, but not files located by `import.meta`.
  const stray = all.filter((path) => /import\.meta\.(url|dirname|filename|resolve)/.test(read(path)));
  assert.deepEqual(stray, []);
});

const read = (path: string) => Deno.readTextFileSync(new URL(path, root));
