import assert from "node:assert/strict";
import { type Client, until } from "../../kit/mod.ts";
import { ask, serveJson } from "./kit.ts";

async function collaborator(server: Awaited<ReturnType<typeof serveJson>>, user: string): Promise<Client> {
  const { client } = await server.join(user);
  await ask(client, { type: "subscribe", channel: "collaboration" });
  return client;
}

/** The last message to a client, after everything has arrived. */
async function lastCount(client: Client): Promise<number> {
  client.sendJson({ type: "ping" });
  for (let last = NaN;;) {
    const { type, data } = await client.nextJson();
    if (type === "pong") return last;
    assert.ok(type === "user:joined" || type === "user:left", type);
    last = data.connectedUsers;
  }
}

Deno.test("Q06 two hundred users join and leave at once, and everybody's last count is right", async () => {
  await using server = await serveJson();
  const count = async () => (await server.people.count("collaboration")).clients;
  const stay = await collaborator(server, "stay");
  const others = await Promise.all(Array.from({ length: 200 }, (_, i) => collaborator(server, `user${i}`)));
  const [leaving, staying] = [others.slice(50), others.slice(0, 50)];
  const coming = Array.from({ length: 50 }, (_, i) => collaborator(server, `late${i}`));
  await Promise.all(leaving.map((client) => client.close()));
  const late = await Promise.all(coming);
  await until("all to leave", async () => await count() === 101);
  for (const client of [stay, ...staying, ...late]) assert.equal(await lastCount(client), 101);
  await Promise.all([stay, ...staying, ...late].map((client) => client.close()));
  await until("the room to be empty", async () => await count() === 0);
});

Deno.test("Q06 two connections of a user count as one, each connection without a name counts", async () => {
  await using server = await serveJson();
  const watcher = await collaborator(server, "watcher");
  const counts: number[] = [];
  const next = async () => void counts.push((await watcher.nextJson()).data.connectedUsers);
  await next();
  const clients: Client[] = [];
  for (const user of ["ann", "ann", "", ""]) {
    clients.push(await collaborator(server, user));
    await next();
  }
  for (const client of clients) {
    await client.close();
    await next();
  }
  assert.deepEqual(counts, [1, 2, 2, 3, 4, 4, 3, 2, 1]);
  await watcher.close();
});
