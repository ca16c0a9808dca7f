import assert from "node:assert/strict";
import { createMergeableStore } from "tinybase";
import { FakeClock, until } from "../../kit/mod.ts";
import { converged, same, stored, synced, syncServer } from "./kit.ts";

Deno.test("T14 two clients converge through a relay", async () => {
  await using server = await syncServer();
  await using a = await synced(`${server.url}/sync/pets`, { timeoutSeconds: 0.2 });
  a.store.setCell("pets", "fido", "species", "dog");
  await using b = await synced(`${server.url}/sync/pets`, { timeoutSeconds: 0.2 });
  await converged(a.store, b.store);
  b.store.setCell("pets", "tom", "species", "cat").delRow("pets", "fido").setValue("open", true);
  await converged(a.store, b.store);
  same(a.store.getTables(), { pets: { tom: { species: "cat" } } });
});

for (const count of [2, 10]) {
  Deno.test(`T14 ${count} clients converge after concurrent edits, offline edits and deletions`, async () => {
    await using server = await syncServer(stored());
    const url = `${server.url}/sync/pets`;
    let clients = await Promise.all(Array.from({ length: count }, () => synced(url)));
    const stores = clients.map(({ store }) => store);
    const edit = (round: number) => {
      for (const [i, store] of stores.entries()) {
        store.setCell("pets", "shared", "by", `${i} in ${round}`);
        store.setRow("pets", `own ${i}`, { round, tags: [i] as never });
        store.setValue(`value ${round}`, i);
        if (round > 1) store.delRow("pets", `own ${(i + 1) % count}`);
      }
    };
    edit(1);
    const serverStore = () => server.sync.getStore("pets")!;
    await converged(...stores, serverStore());
    await Promise.all(clients.slice(1).map((client) => client.close()));
    edit(2);
    await Promise.all([1, 2, 3].map((i) => clients[0]!.store.setCell("pets", "shared", "by", `alone ${i}`)));
    clients = [clients[0]!, ...await Promise.all(stores.slice(1).map((store) => synced(url, { store })))];
    await converged(...stores, serverStore());
    edit(3);
    await converged(...stores, serverStore());
    for (const { errors, close } of clients) {
      assert.deepEqual(errors, []);
      await close();
    }
  });
}

Deno.test("T14 several stores share one socket, and their paths with single-store clients", async () => {
  // With a stopped clock, the server sends no requests by itself.
  await using server = await syncServer({ ...stored(), clock: new FakeClock(Date.now()) });
  const url = `${server.url.replace("http", "ws")}/sync/team`;
  const socket = new WebSocket(url, ["tinybase"]);
  const channels = ["pets", "cars", "deep/er"];
  const shared = await Promise.all(channels.map((channel) => synced(url, { socket, channel })));
  const single = await Promise.all(channels.map((channel) => synced(`${server.url}/sync/team/${channel}`)));
  shared.forEach(({ store }, i) => store.setValue("from", `shared ${i}`));
  single.forEach(({ store }, i) => store.setCell("t", "r", "c", i));
  for (const [i, channel] of channels.entries()) {
    await converged(shared[i]!.store, single[i]!.store, server.sync.getStore(`team/${channel}`)!);
    same(shared[i]!.store.getContent(), [{ t: { r: { c: i } } }, { from: `shared ${i}` }]);
  }
  // TinyBase's client closes its socket if it receives a frame for a store it has just left, so receive all first.
  await shared[0]!.synchronizer.load();
  await shared[0]!.close();
  single[0]!.store.setCell("t", "r", "c", "after");
  shared[1]!.store.setCell("t", "r", "c", "still");
  await converged(shared[1]!.store, single[1]!.store);
  assert.equal(shared[0]!.store.getCell("t", "r", "c"), 0);
  for (const { close, errors } of [...shared.slice(1), ...single]) {
    await close();
    assert.deepEqual(errors, []);
  }
  await until("all to be removed", () => server.sync.getStats().paths === 0);
});

Deno.test("T14 fragmented messages arrive, from clients and from the server", async () => {
  await using server = await syncServer({ ...stored(), fragmentSize: 100 });
  const text = "ü😀".repeat(500);
  await using a = await synced(`${server.url}/sync/pets`, { fragmentSize: 50 });
  await using b = await synced(`${server.url}/sync/pets`, { fragmentSize: 1_000 });
  await using c = await synced(`${server.url}/sync`, { channel: "pets", fragmentSize: 64 });
  a.store.setCell("pets", "fido", "bio", text);
  c.store.setCell("pets", "tom", "bio", text);
  await converged(a.store, b.store, c.store, server.sync.getStore("pets")!);
  await using d = await synced(`${server.url}/sync/pets`);
  await converged(a.store, d.store);
  for (const { errors } of [a, b, c, d]) assert.deepEqual(errors, []);
});

Deno.test("T14 many large changes reach a reader without closing its connection", async () => {
  await using server = await syncServer(stored());
  await using a = await synced(`${server.url}/sync/pets`);
  await using reader = await server.connect("/sync/pets");
  const photo = "x".repeat(1_200_000);
  for (let i = 0; i < 8; i++) a.store.setCell("photos", `${i}`, "data", `${i}${photo}`);
  for (let changes = 0; changes < 8;) changes += Number((await reader.nextText()).length > photo.length);
  await using late = await synced(`${server.url}/sync/pets`);
  await converged(a.store, late.store, server.sync.getStore("pets")!);
  assert.deepEqual([...a.errors, ...late.errors], []);
});

Deno.test("T14 the first client of a path starts without waiting for a timeout", async () => {
  await using server = await syncServer(stored());
  const from = performance.now();
  await using a = await synced(`${server.url}/sync/pets`, { timeoutSeconds: 60 });
  const took = performance.now() - from;
  assert.ok(took < 30_000, `${took} ms`);
  assert.deepEqual(a.errors, []);
});

Deno.test("T14 a multiplexed client that reconnects exchanges missed changes with the server in both directions", async () => {
  await using server = await syncServer(stored());
  await using a = await synced(`${server.url}/sync/pets`);
  a.store.setCell("pets", "fido", "species", "dog");
  await converged(a.store, server.sync.getStore("pets")!);
  // Such a client subscribes again, assumes that everything was sent, and sends nothing by itself.
  const b = createMergeableStore();
  b.setCell("pets", "tom", "species", "cat");
  await using socket = await server.connect("/sync", ["tinybase"]);
  socket.send('S\n["a",-1,[0,1]]');
  assert.equal(await socket.nextText(), 'S\n["a",-1,[0,1]]');
  socket.send('S\n["b",-1,[1,"pets"]]');
  assert.equal(await socket.nextText(), 'S\n["b",-1,[1,"pets"]]');
  const next = async () => {
    const [mux, channel, from, ...rest] = (await socket.nextText()).split("\n");
    assert.deepEqual([mux, channel, from], ["M", "pets", "S"]);
    return JSON.parse(rest.join("\n"));
  };
  const answer = (id: string, body: unknown) => socket.send(`M\npets\nS\n${JSON.stringify([id, 0, body])}`);
  const [asked, type] = await next();
  assert.equal(type, 1);
  answer(asked, b.getMergeableContentHashes());
  const received: Record<number, unknown> = {};
  while (!a.store.hasRow("pets", "tom")) {
    const [id, type, body] = await next();
    received[type] = body;
    if (type === 4) answer(id, b.getMergeableTableDiff(body));
    if (type === 5) answer(id, b.getMergeableRowDiff(body));
    if (type === 6) answer(id, b.getMergeableCellDiff(body));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await converged(a.store, server.sync.getStore("pets")!);
  assert.ok(Array.isArray(received[2])); // which makes a real client pull
});

Deno.test("T15 a client that connects alone receives all content, and deleted content stays deleted", async () => {
  const { createPersisterForPath } = stored();
  await using server = await syncServer({ createPersisterForPath });
  const url = `${server.url}/sync/pets`;
  const a = createMergeableStore();
  const stale = createMergeableStore();
  for (const store of [a, stale]) {
    await using client = await synced(url, { store });
    await using opened = await server.sync.open("pets");
    store.setCell("pets", "fido", "species", "dog");
    await converged(store, opened.store);
    await client.close();
  }
  {
    await using client = await synced(url, { store: a });
    await using opened = await server.sync.open("pets");
    a.delTable("pets").setValue("closed", true);
    await converged(a, opened.store);
    await client.close();
  }
  await until("the path to be removed", () => server.sync.getStats().paths === 0);
  await using alone = await synced(url);
  await converged(a, alone.store);
  same(alone.store.getContent(), [{}, { closed: true }]);
  await using returned = await synced(url, { store: stale });
  await converged(a, alone.store, returned.store);
  same(stale.getTables(), {});
});
