/** Builds the images of `examples/deploy` without Docker and runs them. */

import assert from "node:assert/strict";
import { deno, root, startExample } from "../../kit/example.ts";
import { Client } from "../../kit/mod.ts";
import { buildImage, type Image } from "./container.ts";

/** Returns options to run the image's command as its user. */
function options({ files, workdir, user, env, program }: Image, more: Record<string, string>) {
  const [uid, gid] = user.split(":").map(Number);
  const nobody = Deno.uid() === 0 ? { uid: uid!, gid: gid! } : {};
  return {
    program,
    cwd: files + workdir,
    env: { ...env, HOST: "127.0.0.1", DENO_DIR: "/nowhere", ...more },
    ...nobody,
  };
}

/** Starts the image, runs its health check, and stops it with the signal that Docker sends. */
async function testImage(image: Image, env: Record<string, string>, check: (url: string) => Promise<void>) {
  assert.match(
    image.user,
    /^[1-9]\d+:[1-9]\d+$/,
    "it must run as a numeric user that is not root",
  );
  assert.equal(image.env.HOST, "0.0.0.0");
  assert.deepEqual(
    image.entrypoint.filter((flag) => /^(-A|--allow-all|--allow-(read|write|run|ffi))$/.test(flag)),
    [],
  );
  const server = await startExample(image.entrypoint, options(image, env));
  const healthy = async () => {
    const command = deno(image.healthcheck, options(image, { ...env, PORT: String(server.port) }));
    return (await command.output()).success;
  };
  try {
    assert.ok(await healthy());
    await check(server.url);
    assert.equal(await server.stop(), 0);
    assert.ok(!await healthy(), "a stopped server must not be healthy");
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

Deno.test("H13 the hub's image is complete, does not run as root, and is healthy", async () => {
  await using image = await buildImage("hub/Dockerfile");
  assert.deepEqual([...Deno.readDirSync(`${image.files}/app`)].map(({ name }) => name), ["hub.js"]);
  assert.equal(image.env.PORT, "8081");
  await testImage(image, { HUB_API_KEY: "your-secret-key" }, async (url) => {
    await using client = await Client.connect(`${url}/ws?userId=user123`);
    const response = await fetch(`${url}/api/broadcast`, {
      method: "POST",
      headers: { "x-api-key": "your-secret-key" },
      body: JSON.stringify({ type: "announcement", payload: {} }),
    });
    await response.body?.cancel();
    assert.equal((await client.nextJson()).type, "announcement");
  });
});

Deno.test("B15 the server's image is complete, does not run as root, and stores its data in the volume", async () => {
  await using image = await buildImage("Dockerfile");
  const names = [...Deno.readDirSync(`${image.files}/app`)].map(({ name }) => name).sort();
  assert.deepEqual(names, ["data", "deno.json", "plugboard.js"]);
  await testImage(image, { JWT_SECRET: "", DURABLE: "kept" }, async (url) => {
    await using client = await Client.connect(`${url}/ws`);
    await client.nextJson();
    client.sendJson({ type: "publish", channel: "kept:news", data: "hello" });
    assert.equal((await client.nextJson()).data.offset, 1);
  });
  const [database] = Deno.readDirSync(`${image.files}/app/data`);
  assert.equal(database?.name, "plugboard.db");
});

Deno.test("H13 the compose files allow writes to volumes only and wait for the drain", () => {
  for (
    const [path, secret] of [
      ["compose.yaml", "JWT_SECRET"],
      ["compose.cluster.yaml", "JWT_SECRET"],
      ["hub/compose.yaml", "HUB_API_KEY"],
    ]
  ) {
    const text = Deno.readTextFileSync(new URL(`examples/deploy/${path}`, root));
    for (
      const line of [
        `${secret}: \${${secret}:?${secret} must be set}`,
        "read_only: true",
        "cap_drop:",
        "- /tmp",
      ]
    ) {
      assert.ok(text.includes(line), `${path} lacks ${line}`);
    }
    const [, context = "", dockerfile = ""] = text.match(/context: (\S+)\s+dockerfile: (\S+)/) ?? [];
    assert.equal(new URL(`${context}/`, new URL(`examples/deploy/${path}`, root)).href, root.href);
    assert.ok(Deno.statSync(new URL(dockerfile, root)).isFile);
    assert.ok(Number(text.match(/stop_grace_period: (\d+)s/)![1]) > 10);
  }
});
