import assert from "node:assert/strict";
import { slowMode } from "../../../examples/slow_mode.ts";
import { channels } from "../../../plugins/channels.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { root, runExample } from "../../kit/example.ts";
import { Client, FakeClock, serve } from "../../kit/mod.ts";

/** Publishes a message. Resolves to the type or error of the reply. */
async function publish(client: Client, channel: string): Promise<string> {
  client.sendJson({ type: "publish", channel, data: "hello" });
  const { type, data } = await client.nextJson();
  return type === "error" ? `${data.code}: ${data.message}` : type;
}

Deno.test("B16 slow mode limits each client per channel for the given time", async () => {
  const clock = new FakeClock();
  const bus = channels({ namespaces: { lobby: {} } });
  const slow = slowMode({ channels: bus.api, namespace: "lobby", waitMs: 5_000 });
  await using server = await serve({ clock }, bus, slow, json({ channels: bus.api }));
  await using ann = await server.connect("/ws");
  await using bob = await server.connect("/ws");
  for (const client of [ann, bob]) assert.equal((await client.nextJson()).type, "connection:ack");

  assert.equal(await publish(ann, "lobby:1"), "published");
  assert.equal(await publish(ann, "lobby:1"), "TOO_MANY_REQUESTS: Slow mode: wait 5 s");
  clock.advance(4_000);
  assert.equal(await publish(ann, "lobby:1"), "TOO_MANY_REQUESTS: Slow mode: wait 1 s");
  for (const channel of ["lobby:2", "news", "news", "lobbyists"]) {
    assert.equal(await publish(ann, channel), "published");
  }
  assert.equal(await publish(bob, "lobby:1"), "published");
  for (let i = 0; i < 2; i++) await bus.api.publish("lobby:1", "the server is not limited");
  clock.advance(1_000);
  assert.equal(await publish(ann, "lobby:1"), "published");
  assert.equal(await publish(bob, "lobby:1"), "TOO_MANY_REQUESTS: Slow mode: wait 4 s");
});

Deno.test("B16 the commands in the first comment are answered as described", async () => {
  const source = Deno.readTextFileSync(new URL("examples/slow_mode.ts", root));
  const typed = [...source.matchAll(/^ \* {5}> (.*)$/gm)].map(([, line]) => line!);
  await using example = await runExample("examples/slow_mode.ts");
  await using client = await Client.connect(`${example.url}/ws`);
  for (const line of typed) client.send(line);
  const types = ["connection:ack", "subscribed", "message", "published"];
  for (const type of types) assert.equal((await client.nextJson()).type, type);
  assert.equal((await client.nextJson()).data.message, "Slow mode: wait 10 s");
});
