import assert from "node:assert/strict";
import { Client, RawClient, until } from "../../kit/mod.ts";

async function start() {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("children/draining.ts", import.meta.url).pathname],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = process.stdout.getReader();
  const port = Number(new TextDecoder().decode((await reader.read()).value));
  return {
    port,
    process,
    connect: () => Client.connect(`http://127.0.0.1:${port}/slow`),
    async end() {
      const { code } = await process.status;
      await reader.cancel();
      return code;
    },
  };
}

Deno.test("B06 on SIGTERM the server refuses new clients, closes the others one after the other, finishes pending work and exits with 0", async () => {
  const server = await start();
  const clients = await Promise.all(Array.from({ length: 100 }, server.connect));
  const [busy] = clients;
  busy!.send("600");
  assert.equal(await busy!.next(), "begun 600");
  const closedAt: number[] = [];
  const codes = clients.map((client) =>
    client.closed.then(({ code }) => (closedAt.push(performance.now()), code))
  );
  server.process.kill("SIGTERM");
  await until("readiness to turn false", async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}/health`).catch(() => undefined);
    await response?.body?.cancel();
    return response?.status === 503;
  });
  using late = await RawClient.connect(server.port);
  assert.match(await late.request("/slow"), /^HTTP\/1.1 503/);
  assert.equal(await busy!.next(), "done 600");
  assert.deepEqual(new Set(await Promise.all(codes)), new Set([3001]));
  closedAt.sort((a, b) => a - b);
  assert.ok(closedAt.at(-2)! - closedAt[0]! > 50, "all were closed at once");
  assert.equal(await server.end(), 0);
});

Deno.test("pending work is given up at the deadline, and the exit code is 0", async () => {
  const server = await start();
  const client = await server.connect();
  client.send("60000");
  assert.equal(await client.next(), "begun 60000");
  const begun = performance.now();
  server.process.kill("SIGTERM");
  assert.equal((await client.closed).code, 3001);
  assert.equal(await server.end(), 0);
  assert.ok(performance.now() - begun < 6_000);
});

Deno.test("a second signal exits at once", async () => {
  const server = await start();
  const client = await server.connect();
  client.send("60000");
  assert.equal(await client.next(), "begun 60000");
  server.process.kill("SIGTERM");
  await until("the drain to begin", async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}/health`).catch(() => undefined);
    await response?.body?.cancel();
    return response?.status !== 200;
  });
  const begun = performance.now();
  server.process.kill("SIGTERM");
  assert.equal(await server.end(), 130);
  assert.ok(performance.now() - begun < 1_000);
  await client.closed;
});
