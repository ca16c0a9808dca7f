import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Child, Client, until } from "../../kit/mod.ts";
import { copyFolder } from "../../kit/files.ts";
import { testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";
import { all, PATIENCE_MS } from "./kit.ts";
import { dataFolder, startMain } from "../main/kit.ts";

const TTL_MS = 2_000;

/** Starts a node whose address is the name of its folder. */
async function startNode(redis: RedisProcess, folder: string) {
  const child = new Child(new URL("children/owner_node.ts", import.meta.url), {
    args: [redis.url, `${folder}/plugboard.db`, `${TTL_MS}`],
  });
  return { child, url: await child.line(), [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

/** Publishes through a node; returns the answer, once the node knows the owner. On a busy machine, it may renew its lease too late. */
async function publish(url: string, data: string): Promise<string> {
  await using client = await Client.connect(`${url}/t`);
  let answer = "";
  await until("a node that owns the database", async () => {
    client.sendJson({ do: "publish", channel: "room", data });
    const { published, error } = await client.nextJson();
    answer = published === undefined ? error : `${published.offset}`;
    return answer !== "unavailable";
  });
  return answer;
}

/** The number of publications in a database. */
function storedIn(folder: string): number {
  using database = new DatabaseSync(`${folder}/plugboard.db`, { readOnly: true });
  const sql =
    "SELECT (SELECT count(*) FROM channel_publications) + (SELECT count(*) FROM channel_tail) AS stored";
  return Number(database.prepare(sql).get()!["stored"]);
}

testWith("redis", "B12 a node that lost its lease does not write any more", async (program) => {
  const root = await Deno.makeTempDir();
  {
    await using redis = new RedisProcess(program);
    await redis.ready();
    await using first = await startNode(redis, `${root}/first`);
    await using other = await startNode(redis, `${root}/other`);
    assert.equal(await publish(first.url, "one"), "1");
    assert.equal(await publish(other.url, "no"), "not_owner");
    const response = await fetch(`${other.url}/any?node=owner`);
    const { error } = await response.json();
    assert.deepEqual(
      [response.status, response.headers.get("plugboard-owner"), error.message],
      [421, "first", "The database is on another node: connect to first"],
    );

    // Without the data of Redis, the owner stays.
    assert.equal(await redis.command("FLUSHALL"), "+OK");
    await until(
      "a new claim",
      async () => await redis.command("EXISTS", "plugboard:lease:database") === ":1",
    );
    assert.equal(await publish(first.url, "two"), "2");
    assert.equal(await publish(other.url, "no"), "not_owner");

    assert.equal(await publish(first.url, "three"), "3");
    // Another process has the owner's database: a disk that was moved, or a copy. Then the owner stands still.
    await copyFolder(`${root}/first`, `${root}/second`);
    await using second = await startNode(redis, `${root}/second`);
    assert.equal(await publish(second.url, "too early"), "not_owner");
    await using client = await Client.connect(`${first.url}/t`);
    client.sendJson({ do: "history", channel: "room" });
    assert.equal((await client.nextJson()).history.publications.length, 3);
    first.child.kill("SIGSTOP");
    client.sendJson({ do: "publish", channel: "room", data: "late" });
    await until("the second owner", async () => await publish(second.url, "four") === "4", PATIENCE_MS);
    first.child.kill("SIGCONT");
    const answer = await client.nextJson().catch(() => ({}));
    assert.equal(answer.published, undefined, "not acknowledged");
    await client.closed; // It was told to reconnect.
    assert.equal(await publish(first.url, "late"), "not_owner");
    assert.equal(await publish(other.url, "no"), "not_owner");
    assert.equal(await publish(second.url, "five"), "5");
    assert.deepEqual([storedIn(`${root}/first`), storedIn(`${root}/second`)], [3, 5]);

    // The old copy never becomes the owner again.
    second.child.kill("SIGKILL");
    const till = performance.now() + 1.5 * TTL_MS;
    await until("the end of the lease", () => performance.now() > till, PATIENCE_MS);
    assert.equal(await publish(first.url, "late"), "not_owner");
    await using again = await startNode(redis, `${root}/second`);
    assert.equal(await publish(again.url, "six"), "6");
  }
  await Deno.remove(root, { recursive: true });
});

testWith(
  "redis",
  "B12 a database has one owner, and other nodes refuse with its address",
  async (program) => {
    await using redis = new RedisProcess(program);
    await redis.ready();
    using folders = new DisposableStack();
    const start = (NODE_ADDRESS: string) =>
      startMain({
        REDIS_URL: redis.url,
        DURABLE: "orders",
        DATA_DIR: folders.use(dataFolder()).path,
        NODE_ADDRESS,
      });
    const nodes = [await start("one:8080"), await start("two:8080")];
    await using _nodes = all(nodes);
    const [first, second] = nodes;
    for (const path of ["/sync/path", "/relay/path", "/ws?node=owner"]) {
      const refused = await fetch(`${second!.url}${path}`, {
        headers: {
          connection: "upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        },
      });
      await refused.body?.cancel();
      assert.deepEqual([refused.status, refused.headers.get("plugboard-owner")], [421, "one:8080"], path);
      await using _accepted = await Client.connect(`${first!.url}${path}`);
    }
    for (const [node, expected] of [[first!, undefined], [second!, "NOT_OWNER"]] as const) {
      await using client = await Client.connect(`${node.url}/ws`);
      for (
        const message of [
          { type: "subscribe", channel: "orders:new" },
          { type: "publish", channel: "orders:new", data: 1 },
          { type: "subscribe", channel: "live:home.ideas" },
        ]
      ) {
        client.sendJson({ ...message, id: "mine" });
        for (;;) {
          const { id, type, data } = await client.nextJson();
          if (id !== "mine") continue;
          assert.equal(type === "error" ? data.code : undefined, expected, JSON.stringify([message, data]));
          break;
        }
      }
    }
    assert.deepEqual(nodes.map((node) => node.warnings().filter((line) => /owner|redis/.test(line))), [
      [],
      [],
    ]);
  },
);
