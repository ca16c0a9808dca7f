import assert from "node:assert/strict";
import { Client } from "../../kit/mod.ts";

const CLIENTS = 20;
const CHANNELS = 4;
const ROUNDS = 50;

/** Starts a server in a process of its own. */
async function start(path: string) {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("server.ts", import.meta.url).pathname, path],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  const port = Number(new TextDecoder().decode(value));
  assert.ok(port > 0, "the server did not start");
  return {
    connect: () => Client.connect(`http://127.0.0.1:${port}/t`),
    async kill() {
      process.kill("SIGKILL");
      await process.status;
      await reader.cancel();
    },
  };
}

Deno.test("B04 acknowledged publications survive fifty kills without loss, duplicates or reordering", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/log.db`;
  /** By channel: acknowledged data by offset. */
  const acknowledged = Array.from({ length: CHANNELS }, () => new Map<number, string>());
  const epochs = new Set<string>();
  let next = 0;

  /** Publishes, each after the acknowledgement of the one before, until the connection breaks. */
  async function publish(client: Client, channel: number): Promise<void> {
    try {
      for (;;) {
        const data = `m${next++}`;
        client.sendJson({ do: "publish", channel: `c${channel}`, data });
        const { published } = await client.nextJson();
        assert.ok(!acknowledged[channel]!.has(published.offset), "an offset was assigned twice");
        acknowledged[channel]!.set(published.offset, data);
        epochs.add(published.epoch);
      }
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
    }
  }

  for (let round = 0; round < ROUNDS; round++) {
    const server = await start(path);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => server.connect()));
    const enough = acknowledged[0]!.size + 5 + Math.floor(Math.random() * 100);
    const publishing = clients.map((client, i) => publish(client, i % CHANNELS));
    // The moment of the kill depends on the load, not on a clock.
    while (acknowledged[0]!.size < enough) await new Promise((resolve) => setTimeout(resolve, 0));
    await server.kill();
    await Promise.all(publishing);
    await Promise.all(clients.map((client) => client.close()));
  }

  assert.equal(epochs.size, 1, "the epoch changed");
  const server = await start(path);
  const [epoch] = epochs;
  for (const [i, known] of acknowledged.entries()) {
    const client = await server.connect();
    client.sendJson({ do: "subscribe", channel: `c${i}`, recover: { offset: 0, epoch } });
    const { recovered, publications } = await client.nextJson();
    assert.equal(recovered, true);
    const offsets = publications.map(({ offset }: { offset: number }) => offset);
    assert.deepEqual(
      offsets,
      offsets.map((_: number, n: number) => n + 1),
      "offsets have no gaps and no duplicates",
    );
    for (const [offset, data] of known) assert.equal(JSON.parse(publications[offset - 1].json), data);
    await client.close();
  }
  await server.kill();
  await Deno.remove(folder, { recursive: true });
});
