import assert from "node:assert/strict";
import { messageChecks } from "../../../plugins/message_checks.ts";
import { channels } from "../../../plugins/channels.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { type Client, FakeClock, serve, turn } from "../../kit/mod.ts";
import { ask, serveJson } from "./kit.ts";

/** Connects clients that are subscribed to the room. */
async function room(
  server: Awaited<ReturnType<typeof serveJson>>,
  size: number,
): Promise<[Client, ...Client[]]> {
  const clients = await Promise.all(Array.from({ length: size }, async (_, i) => {
    const { client } = await server.join(`user${i}`);
    await ask(client, { type: "subscribe", channel: "room" });
    return client;
  }));
  return clients as [Client, ...Client[]];
}

const cursorAt = (x: number) => ({ type: "user:cursor", channel: "room", data: { x } });

Deno.test("Q06 of many moves of a cursor the latest is published, and no message waits for them", async () => {
  const clock = new FakeClock();
  await using server = await serveJson({}, { clock });
  const [ann, bob] = await room(server, 2) as [Client, Client];
  for (let x = 0; x < 500; x++) bob.sendJson(cursorAt(x));
  bob.sendJson({ type: "publish", channel: "room", data: "after" });
  assert.equal((await ann.nextJson()).data, "after");
  clock.advance(50);
  assert.equal((await ann.nextJson()).data.x, 499);
  clock.advance(50);
  await turn();
  assert.equal(ann.waiting, 0, "each move is published once");
  for (const client of [ann, bob]) await client.close();
});

Deno.test("Q06 if everybody moves, cursors take turns, and each arrives with its latest position", async () => {
  const clock = new FakeClock();
  await using server = await serveJson({}, { clock });
  const size = 80; // three times as many deliveries as one interval allows
  const clients = await room(server, size);
  const watcher = clients[0];
  for (const client of clients) {
    for (const x of [1, 2]) client.sendJson(cursorAt(x));
  }
  const pongs = clients.map((client) => ask(client, { type: "ping" }));
  await Promise.all(pongs); // so the moves have arrived
  let deliveries = 0;
  server.bus.extend({ name: "test", delivered: (_channel, _publication, to) => void (deliveries += to) });
  const rounds: number[] = [];
  for (let all = 0; all < size * (size - 1); all += deliveries) {
    deliveries = 0;
    clock.advance(50);
    await turn();
    rounds.push(deliveries);
  }
  assert.ok(rounds.length > 1 && Math.max(...rounds) < 2_000 + size, `at once: ${rounds}`);
  const heard: { userId: string; x: number }[] = [];
  while (heard.length < size - 1) heard.push((await watcher.nextJson()).data);
  assert.equal(new Set(heard.map(({ userId }) => userId)).size, size - 1, "each cursor once");
  assert.ok(heard.every(({ x }) => x === 2));
  await Promise.all(clients.map((client) => client.close()));
});

Deno.test("Q06 a message arrives while two hundred clients move their cursors", async () => {
  await using server = await serveJson();
  const clients = await room(server, 200);
  const [reader, writer, ...flooders] = clients as unknown as [Client, Client, ...Client[]];
  let x = 0;
  let flooding = true;
  // The next round begins when the cursors of the last one have arrived, however slow the machine is.
  const flood = (async () => {
    while (flooding) {
      for (const client of flooders) client.sendJson(cursorAt(++x));
      const last = flooders.at(-1)!;
      while ((await last.nextJson()).type !== "user:cursor");
      while (last.waiting > 0) await last.next();
    }
  })();
  try {
    for (let cursors = 0; cursors < 500;) {
      writer.sendJson({ type: "publish", channel: "room", data: "hello" });
      const before = await cursorsBeforeMessage(reader);
      assert.ok(before <= 2 * clients.length, `${before} cursors before the message`);
      cursors += before;
    }
  } finally {
    flooding = false;
  }
  await flood;
  await Promise.all(clients.map((client) => client.close()));
});

async function cursorsBeforeMessage(client: Client): Promise<number> {
  for (let cursors = 0;; cursors++) if ((await client.nextJson()).type === "message") return cursors;
}

Deno.test("Q06 a cursor needs a subscription, the permission to publish, and a valid payload", async () => {
  const bus = channels({ namespaces: { closed: { publish: "nobody" } } });
  const clock = new FakeClock();
  const checks = messageChecks({ channels: bus.api, maxBytes: 500 });
  await using server = await serve({ clock }, bus, checks, json({ channels: bus.api }));
  const [ann, bob] = [await server.connect("/ws"), await server.connect("/ws")];
  for (const client of [ann, bob]) {
    await client.nextJson();
    for (const channel of ["open", "closed:a"]) await ask(client, { type: "subscribe", channel });
  }
  const codeOf = async (message: object) => (await ask(bob, { type: "user:cursor", ...message })).data.code;
  assert.equal(await codeOf({ channel: "elsewhere", data: {} }), "NOT_SUBSCRIBED");
  assert.equal(await codeOf({ channel: "closed:a", data: {} }), "PERMISSION_DENIED");
  assert.equal(await codeOf({ channel: "open", data: [1] }), "INVALID_MESSAGE");
  assert.equal(await codeOf({ channel: "open", data: 5 }), "INVALID_MESSAGE");
  bob.sendJson({ type: "user:cursor", id: "big", channel: "open", data: { x: "x".repeat(500) } });
  await ask(bob, { type: "ping" });
  clock.advance(50);
  const { id, type, data: { code } } = await bob.nextJson();
  assert.deepEqual([id, type, code], ["big", "error", "BAD_REQUEST"]);
  bob.sendJson({
    type: "user:cursor",
    channel: "open",
    data: { clientId: "forged", userId: "forged", x: 1 },
  });
  await ask(bob, { type: "ping" });
  clock.advance(50);
  const { data } = await ann.nextJson();
  assert.notEqual(data.clientId, "forged");
  assert.deepEqual([data.userId, data.x], ["", 1]);
  for (const client of [ann, bob]) await client.close();
});
