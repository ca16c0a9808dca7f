import assert from "node:assert/strict";
import { freePort } from "../../kit/ports.ts";
import { Client } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";
import { makeCertificate } from "../deploy/proxy.ts";
import { dataFolder, runMain, startMain } from "../main/kit.ts";

/** Returns the next message of a type. */
// deno-lint-ignore no-explicit-any -- the test reads its fields
async function nextOf(client: Client, type: string): Promise<any> {
  for (;;) {
    const message = await client.nextJson();
    if (message.type === type) return message;
  }
}

testWith(
  "redis",
  "B12 REDIS_URL is all it takes: user, password and prefix, and several nodes of main.ts are one server",
  async (program) => {
    await using redis = new RedisProcess(program);
    await redis.ready();
    const rights = "~app:* &app:* +@scripting +@pubsub +@read +@write +@connection +info +time".split(" ");
    assert.equal(await redis.command("ACL", "SETUSER", "plugboard", "on", ">secret", ...rights), "+OK");
    const REDIS_URL = `redis://plugboard:secret@127.0.0.1:${redis.port}?prefix=app`;
    using folders = new DisposableStack();
    const start = () => startMain({ REDIS_URL, DATA_DIR: folders.use(dataFolder()).path });
    const nodes = await Promise.all([start(), start()]);
    await using first = nodes[0]!;
    await using second = nodes[1]!;

    await using listener = await Client.connect(`${first.url}/ws`);
    await using publisher = await Client.connect(`${second.url}/ws`);
    listener.sendJson({ type: "subscribe", channel: "news" });
    const { data: { position } } = await nextOf(listener, "subscribed");
    publisher.sendJson({ type: "publish", channel: "news", data: { text: "across" } });
    const { data: { offset, epoch } } = await nextOf(publisher, "published");
    assert.deepEqual([offset, epoch], [1, position.epoch]);
    for (;;) {
      const { channel, data } = await listener.nextJson();
      if (channel === "news" && data.text === "across") break;
    }
    assert.deepEqual(nodes.flatMap((node) => node.warnings().filter((line) => line.startsWith("redis"))), []);
    assert.equal(
      (await fetch(`${first.url}/health/ready`).then((response) => response.text())).includes("healthy"),
      true,
    );
    assert.deepEqual(await Promise.all(nodes.map((node) => node.stop())), [0, 0]);
  },
);

Deno.test("B12 a wrong REDIS_URL stops the start with a sentence without the password", async () => {
  using folder = dataFolder();
  for (
    const [REDIS_URL, expected] of [
      ["http://u:secret@host", /"urls" must be redis: or rediss: URLs, got http:\/\/host:6379$/],
      ["redis://u:secret@127.0.0.1:1", /^Cannot start redis: Redis at 127\.0\.0\.1:1: .*refused/i],
    ] as const
  ) {
    const { code, stderr } = await runMain({ REDIS_URL, DATA_DIR: folder.path });
    assert.equal(code, 1);
    assert.match(stderr.split("\n").at(-1)!, expected);
    assert.doesNotMatch(stderr, /secret/);
  }
});

testWith("redis", "B12 rediss: encrypts, and refuses a certificate that is not trusted", async (program) => {
  const folder = await Deno.makeTempDir();
  await makeCertificate(folder);
  const port = freePort();
  {
    await using redis = new RedisProcess(program, [
      ...["--tls-port", `${port}`, "--tls-auth-clients", "no", "--tls-ca-cert-file", `${folder}/cert.pem`],
      ...["--tls-cert-file", `${folder}/cert.pem`, "--tls-key-file", `${folder}/key.pem`],
    ]);
    await redis.ready();
    using data = dataFolder();
    const env = { REDIS_URL: `rediss://localhost:${port}`, DATA_DIR: data.path };
    await using node = await startMain({ ...env, DENO_CERT: `${folder}/cert.pem` });
    await using client = await Client.connect(`${node.url}/ws`);
    client.sendJson({ type: "publish", channel: "news", data: 1 });
    assert.equal((await nextOf(client, "published")).data.offset, 1);

    using other = dataFolder();
    const { code, stderr } = await runMain({ ...env, DATA_DIR: other.path });
    assert.equal(code, 1);
    assert.match(stderr, /^Cannot start redis: Redis at localhost:\d+: .*(certificate|UnknownIssuer)/im);
  }
  await Deno.remove(folder, { recursive: true });
});

testWith("redis", "B12 servers of which some belong to a Redis Cluster stop the start", async (program) => {
  const folder = await Deno.makeTempDir();
  {
    await using alone = new RedisProcess(program);
    await using other = new RedisProcess(program, ["--cluster-enabled", "yes", "--dir", folder]);
    await Promise.all([alone.ready(), other.ready()]);
    using data = dataFolder();
    for (
      const [REDIS_URL, expected] of [
        [`${alone.url},${other.url}`, /^Cannot start redis: some servers belong to a Redis Cluster, and/m],
        [
          `${other.url}?prefix={a}`,
          /^Cannot start redis: the prefix of keys in a Redis Cluster has no braces/m,
        ],
      ] as const
    ) {
      const { code, stderr } = await runMain({ REDIS_URL, DATA_DIR: data.path });
      assert.equal(code, 1);
      assert.match(stderr, expected);
    }
  }
  await Deno.remove(folder, { recursive: true });
});
