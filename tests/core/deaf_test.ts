/** Tests of servers whose file handles are all in use. Then the runtime stops to listen. */

import assert from "node:assert/strict";
import { Child, Client, RawClient } from "../kit/mod.ts";

/** Enough for the runtime itself. */
const MAX_FILES = 64;

const WARNING = `warn the process may open only ${MAX_FILES} files, but each connection takes one`;
const DEAF = "error accepts no connections, and will listen again";
const HEARS = "info accepts connections again";

/** Starts the server, and reads the lines of its start. */
async function start(mode: string): Promise<{ child: Child; port: number; url: string }> {
  const script = new URL("./children/deaf.ts", import.meta.url);
  const child = new Child(script, { args: mode === "" ? [] : [mode], maxFiles: MAX_FILES });
  assert.equal(await child.line(), WARNING);
  assert.equal(await child.line(), "info listening");
  const port = Number(await child.line());
  return { child, port, url: `http://127.0.0.1:${port}` };
}

/** Opens connections that send nothing, until the server accepts no more. */
async function openIdle(child: Child, port: number): Promise<Disposable> {
  const idle = new DisposableStack();
  while (child.lines.size === 0) {
    try {
      idle.use(await RawClient.connect(port));
    } catch { /* refused */ }
  }
  assert.equal(await child.line(), DEAF);
  return idle;
}

/** Asks for the health on a connection that stays open. */
async function healthOf(raw: RawClient): Promise<string> {
  await raw.write(new TextEncoder().encode("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"));
  return new TextDecoder().decode((await raw.read())!);
}

async function echoes(client: Client): Promise<void> {
  client.send("hello");
  assert.equal(await client.next(), "hello");
}

Deno.test("a server without a free file handle serves its clients, and accepts others again later", async () => {
  const { child, port, url } = await start("");
  await using _child = child;
  await using old = await Client.connect(`${url}/echo`);
  using monitor = await RawClient.connect(port);
  assert.match(await healthOf(monitor), /^HTTP\/1.1 200 .*"status":"healthy"/s);

  using idle = await openIdle(child, port);
  await echoes(old);
  assert.match(
    await healthOf(monitor),
    /^HTTP\/1.1 503 .*"No connections are accepted at .*Too many open files/s,
  );

  idle[Symbol.dispose]();
  assert.equal(await child.line(), HEARS);
  await using late = await Client.connect(`${url}/echo`);
  await echoes(late);
  await echoes(old);
  assert.match(await healthOf(monitor), /^HTTP\/1.1 200 /);

  child.kill("SIGTERM");
  assert.deepEqual([(await old.closed).code, (await late.closed).code], [3001, 3001]);
  assert.equal(await child.line(), "stopped");
  assert.equal((await child.end()).code, 0);
});

Deno.test("idle connections that keep all file handles are closed after a while", async () => {
  const { child, port, url } = await start("fast");
  await using _child = child;
  using _idle = await openIdle(child, port);
  assert.equal(await child.line(), "error closes all connections to be able to accept new ones");
  assert.equal(await child.line(), HEARS);
  await using client = await Client.connect(`${url}/echo`);
  await echoes(client);
});

Deno.test("a server that cannot get a file handle stops, and exits with 1 for its supervisor", async () => {
  const { child, port } = await start("stuck");
  await using _child = child;
  using _idle = await openIdle(child, port);
  assert.equal(await child.line(), "error closes all connections to be able to accept new ones");
  assert.equal(await child.line(), "error the server cannot recover, and exits");
  assert.equal(await child.line(), "stopped");
  assert.equal((await child.end()).code, 1);
});
