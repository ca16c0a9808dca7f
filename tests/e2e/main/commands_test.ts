/** The commands of `main.ts`, with the permissions of its task. */

import assert from "node:assert/strict";
import { heard, sdkClient } from "../../kit/centrifuge.ts";
import { root } from "../../kit/example.ts";
import { dataFolder, runMain, startMain } from "./kit.ts";

const SECRET = "a secret of more than thirty-two bytes";

/** Runs a command that must succeed. Resolves to what it prints. */
async function answer(env: Record<string, string>, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runMain(env, args);
  assert.deepEqual([code, stderr], [0, ""], args.join(" "));
  return stdout;
}

Deno.test("B21 token, publish and backup work on a running server, and the backup is restored", async () => {
  using data = dataFolder();
  using restored = dataFolder();
  const env = {
    DATA_DIR: data.path,
    DURABLE: "kept",
    JWT_SECRET: SECRET,
    API_KEYS: "ops:a-long-enough-key:admin",
  };
  await Deno.mkdir(new URL(restored.path, root), { recursive: true });
  await using server = await startMain(env);
  const token = await answer(env, "token", "ada", "--permission", "read:kept:*", "--exp", "5m");
  await using client = sdkClient(server.url, "websocket", { token });
  const subscription = client.sdk.newSubscription("kept:news");
  const [subscribed, publications] = [heard(subscription, "subscribed"), heard(subscription, "publication")];
  subscription.subscribe();
  client.sdk.connect();
  await subscribed.next();
  await assert.rejects(subscription.publish({}), { code: 103 });

  const to = { PLUGBOARD_KEY: "a-long-enough-key" };
  const first = JSON.parse(
    await answer({ ...env, ...to }, "publish", "kept:news", '{"n":1}', "--url", server.url),
  );
  assert.equal(first.offset, 1);
  assert.deepEqual((await publications.next()).data, { n: 1 });
  const refused = await runMain(env, ["publish", "kept:news", "1", "--url", server.url]);
  assert.deepEqual([refused.code, refused.stderr], [1, "The server refuses: Authentication required"]);

  const copy = `${data.path}/backups/now.db`;
  assert.match(await answer(env, "backup", copy), /now\.db: \d+ bytes$/);
  await Deno.symlink(".", new URL(`${data.path}/again`, root));
  await Promise.all(["plugboard.db", "plugboard.db-wal", "again/plugboard.db"].map(async (own) => {
    const { code, stderr } = await runMain(env, ["backup", `${data.path}/${own}`]);
    assert.equal(code, 1, own);
    assert.match(stderr, /: a backup cannot have the path of the database itself$/);
  }));
  await answer({ ...env, ...to }, "publish", "kept:news", '{"n":2}', "--url", server.url);
  client.sdk.disconnect();
  assert.equal(await server.stop(), 0);

  // As the documentation says: the copy becomes the database of a server that does not run.
  await Deno.copyFile(new URL(copy, root), new URL(`${restored.path}/plugboard.db`, root));
  await using second = await startMain({ ...env, DATA_DIR: restored.path });
  const response = await fetch(`${second.url}/api/history`, {
    method: "POST",
    headers: { "x-api-key": to.PLUGBOARD_KEY },
    body: JSON.stringify({ channel: "kept:news", limit: 10 }),
  });
  const { result, error } = await response.json();
  assert.equal(error, undefined);
  assert.deepEqual(result.publications.map(({ data }: { data: unknown }) => data), [{ n: 1 }]);
  assert.deepEqual([result.offset, result.epoch], [1, first.epoch]);
});

Deno.test("B21 backups over the API stay inside DATA_DIR", async () => {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path });
  const backup = async (name: string) => {
    const body = JSON.stringify({ name });
    const response = await fetch(`${server.url}/api/backup`, { method: "POST", body });
    return { status: response.status, ...await response.json() };
  };
  for (const name of ["../out.db", "/tmp/out.db", "a/b", "..", ".hidden", "a\\b", "", "plugboard.db/../x"]) {
    assert.equal((await backup(name)).status, 400, name);
  }
  const { path } = (await backup("fine.db")).result ?? await backup("fine.db");
  assert.equal(path, `${data.path}/backups/fine.db`);
});

Deno.test("B21 check, migrate and keys need no server", async () => {
  using data = dataFolder();
  const config = "examples/no_code/plugboard.json";
  const env = { DATA_DIR: data.path, CONFIG: config };
  assert.equal(await answer(env, "check"), `${config}: no mistakes found`);
  assert.deepEqual(
    await Promise.all([answer(env, "migrate").then(() => answer(env, "migrate")), answer(env, "keys")]),
    ["There is nothing to do", "There are no API keys"],
  );
  const made = await answer(env, "keys", "shop", "--permission", "write:orders:*");
  assert.match(
    made,
    /^[\w-]{43}\n[^]*"shop":\{"hash":"sha256:[0-9a-f]{64}","permissions":\["write:orders:\*"\]\}$/,
  );
});

/** Commands that fail, and what they say. */
const WRONG: [env: Record<string, string>, args: string[], sentence: string | RegExp][] = [
  [{}, ["chek"], "Unknown command chek; did you mean check?"],
  [{}, ["start", "now"], "Unknown command now; see --help"],
  [{}, ["token", "ada"], "There is no jwtSecret (JWT_SECRET) to sign a token with"],
  [{ JWT_SECRET: SECRET }, ["token"], "USER is missing; see --help"],
  [
    { JWT_SECRET: SECRET },
    ["token", "ada", "--exp", "soon"],
    /^--exp must be a time such as 30m or 1h, or never/,
  ],
  [{ JWT_SECRET: SECRET }, ["token", "ada", "--info", "{geheim"], "--info must be JSON"],
  [{}, ["publish", "news", "{"], /^JSON must be a value/],
  [
    {},
    ["publish", "news", "1", "--url", "http://127.0.0.1:1"],
    /^No server answers at http:\/\/127\.0\.0\.1:1/,
  ],
  [{}, ["backup"], "PATH is missing; see --help"],
  [
    { DATA_DIR: "data/nothing" },
    ["backup", "data/nothing/copy.db"],
    /^Cannot back up data\/nothing\/plugboard\.db/,
  ],
  [
    { HOST: "0.0.0.0" },
    ["check"],
    /^Cannot start auth: the server listens on 0\.0\.0\.0, beyond this machine/,
  ],
  [{ CONFIG: "data/none.json" }, ["check"], "There is no file data/none.json"],
  [
    { CONFIG: "/etc/plugboard.json" },
    ["check"],
    /^The program may not read \/etc\/plugboard\.json; start it with/,
  ],
  [{}, ["migrate"], /^There is no folder of migrations/],
];

Deno.test("B21 a command that fails says why in one line", async () => {
  await Promise.all(WRONG.map(async ([env, args, sentence]) => {
    const { code, stdout, stderr } = await runMain(env, args);
    assert.deepEqual([code, stdout, stderr.split("\n").length], [1, "", 1], stderr);
    if (typeof sentence === "string") assert.equal(stderr, sentence);
    else assert.match(stderr, sentence);
  }));
});

Deno.test("B21 --help lists the commands, and each shows examples", async () => {
  const help = await answer({}, "--help");
  const names = [...help.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name!);
  assert.deepEqual(names, ["start", "token", "check", "keys", "publish", "backup", "migrate"]);
  await Promise.all(["token", "backup"].map(async (name) => {
    const own = await answer({}, name, "--help");
    assert.match(own, new RegExp(`^${name}[^]*Examples:\n\n {2}deno task start `));
  }));
});
