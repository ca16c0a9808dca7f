import assert from "node:assert/strict";
import { Client, Inbox, RawClient, until, within } from "../../kit/mod.ts";

/** Starts a server whose clients have so long to leave when it stops. */
async function start(drainMs: number) {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      new URL("children/draining.ts", import.meta.url).pathname,
      `${drainMs}`,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = new Inbox<string>();
  const reading = (async () => {
    let rest = "";
    for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      for (const line of parts) lines.put(line);
    }
  })();
  const port = Number(await lines.next("the port"));
  const stdin = process.stdin.getWriter();
  return {
    port,
    process,
    connect: () => Client.connect(`http://127.0.0.1:${port}/slow`),
    /** Lets it finish its pending work. */
    tell: () => stdin.write(new Uint8Array(1)),
    closedAt: async (): Promise<number[]> => JSON.parse(await lines.next("the times of the closes")),
    async end() {
      const { code } = await within("the end of the server", process.status);
      await stdin.close().catch(() => {}); // It has ended with the server.
      await reading;
      return code;
    },
  };
}

/** The status of a server that drains; nothing if it has ended. */
async function statusOf(port: number): Promise<number | undefined> {
  const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
  await response?.body?.cancel();
  return response?.status;
}

Deno.test("B06 on SIGTERM the server refuses new clients, closes the others one after the other, finishes pending work and exits with 0", async () => {
  const server = await start(30_000);
  const clients = await Promise.all(Array.from({ length: 100 }, server.connect));
  const [busy] = clients;
  busy!.send("work");
  assert.equal(await busy!.next(), "begun work");
  const codes = clients.map((client) => client.closed.then(({ code }) => code));
  server.process.kill("SIGTERM");
  await until("readiness to turn false", async () => await statusOf(server.port) === 503);
  using late = await RawClient.connect(server.port);
  assert.match(await late.request("/slow"), /^HTTP\/1.1 503/);
  await server.tell();
  assert.equal(await busy!.next(), "done work");
  assert.deepEqual(new Set(await Promise.all(codes)), new Set([3001]));
  const closedAt = await server.closedAt();
  assert.equal(closedAt.length, 100);
  assert.ok(closedAt.at(-2)! - closedAt[0]! > 50, "all were closed at once");
  assert.equal(await server.end(), 0);
});

Deno.test("pending work is given up at the deadline, and the exit code is 0", async () => {
  const server = await start(1_000);
  const client = await server.connect();
  client.send("work");
  assert.equal(await client.next(), "begun work");
  server.process.kill("SIGTERM");
  assert.equal((await within("the close", client.closed)).code, 3001);
  assert.equal(await server.end(), 0);
});

Deno.test("a second signal exits at once", async () => {
  const server = await start(60_000);
  const client = await server.connect();
  client.send("work");
  assert.equal(await client.next(), "begun work");
  server.process.kill("SIGTERM");
  await until("the drain to begin", async () => await statusOf(server.port) !== 200);
  server.process.kill("SIGTERM");
  assert.equal(await server.end(), 130);
  await client.closed;
});
