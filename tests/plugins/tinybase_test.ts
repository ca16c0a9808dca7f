import assert from "node:assert/strict";
import { createMergeableStore } from "tinybase";
import { closeCodes, type Host } from "../../core/mod.ts";
import { paths } from "../../plugins/paths.ts";
import { tinybase } from "../../plugins/protocols/tinybase.ts";
import { FakeClock, FakeTransport, offline, RawClient, until, within } from "../kit/mod.ts";
import { converged, hashesOf, same, stored, synced, syncServer, unhashed } from "./tinybase/kit.ts";

Deno.test("T01 stores on different paths share nothing, however similar the paths", async () => {
  await using server = await syncServer(stored());
  const names = ["a", "a/b", "a%20b", "b", "team/ü"];
  const clients = await Promise.all(names.map((name) => synced(`${server.url}/sync/${name}`)));
  clients.forEach(({ store }, i) => store.setValue("home", names[i]!));
  const paths = ["a", "a/b", "a b", "b", "team/ü"];
  for (const [i, { store }] of clients.entries()) {
    await converged(store, server.sync.getStore(paths[i]!)!);
    same(store.getValues(), { home: names[i] });
  }
  for (const target of ["/sync/../a", "/sync/a/%2e%2e/b", "/sync//a", "/sync/a%2fb"]) {
    using raw = await RawClient.connect(server.port);
    assert.match(await raw.request(target), /^HTTP\/1.1 400 /);
  }
  await Promise.all(clients.map((client) => client.close()));
});

Deno.test("T02 a relay routes by the first field and changes only that", async () => {
  await using server = await syncServer();
  await using a = await server.connect("/sync/pets");
  await using b = await server.connect("/sync/pets");
  await using c = await server.connect("/sync/pets");
  await using elsewhere = await server.connect("/sync/cars");
  const diff = '["QHzg1mpDAlH",3,[[{"pets":[{"fido":[{"age":["\uFFFC","P6vlbfb----7JQY8"]}]}]}],[{}],1]]';
  a.send(`\n${diff}`);
  const [idA, ...rest] = (await b.nextText()).split("\n");
  assert.equal(rest.join("\n"), diff);
  assert.equal(await c.nextText(), `${idA}\n${diff}`);
  const future = '["~later",8,{"pets":[1,2,3]}]';
  b.send(`${idA}\n${future}`);
  assert.equal((await a.nextText()).split("\n")[1], future);
  for (const to of ["S", "M", "nobody", `${idA}x`, "__proto__"]) b.send(`${to}\n["x",1,""]`);
  elsewhere.send(`${idA}\n["x",1,""]`);
  b.send(`${idA}\n["last",1,""]`);
  assert.equal((await a.nextText()).split("\n")[1], '["last",1,""]');
  assert.equal(a.waiting + b.waiting + c.waiting + elsewhere.waiting, 0);
});

Deno.test("T07 T08 paths and clients are reported and counted as by TinyBase", async () => {
  await using server = await syncServer(stored());
  const { sync } = server;
  const events: string[] = [];
  const all = sync.addPathIdsListener((_sync, path, change) => void events.push(`${path} ${change}`));
  sync.addClientIdsListener(null, (given, path, client, change) => {
    assert.equal(given, sync);
    assert.equal(given.getClientIds(path).includes(client), change === 1);
    events.push(`${path}: client ${change}`);
  });
  const one = sync.addClientIdsListener(
    "b",
    (_sync, _path, _client, change) => void events.push(`b only ${change}`),
  );
  sync.addClientIdsListener(null, () => {
    throw new Error("a bad listener");
  });
  const a = await synced(`${server.url}/sync/a`);
  const b = await synced(`${server.url}/sync/b`);
  const b2 = await synced(`${server.url}/sync`, { channel: "b" });
  assert.deepEqual(sync.getStats(), { paths: 2, clients: 3 });
  assert.deepEqual(sync.getPathIds().sort(), ["a", "b"]);
  assert.deepEqual([sync.getClientIds("a").length, sync.getClientIds("b").length], [1, 2]);
  assert.deepEqual(sync.getClientIds("nowhere"), []);
  assert.equal(sync.delListener(all).delListener("unknown"), sync);
  sync.delListener(one);
  await Promise.all([a.close(), b.close(), b2.close()]);
  await until("all to be removed", () => sync.getStats().paths === 0);
  assert.deepEqual(events, [
    "a 1",
    "a: client 1",
    "b 1",
    "b: client 1",
    "b only 1",
    "b: client 1",
    "b only 1",
    ...events.slice(7),
  ]);
  assert.deepEqual(events.slice(7).sort(), ["a: client -1", "b: client -1", "b: client -1"]);
  server.log.take();
});

Deno.test("T09 server code reads, changes and observes a path's store", async () => {
  const received: unknown[] = [];
  const { documents, createPersisterForPath } = stored();
  await using server = await syncServer({
    createPersisterForPath,
    onStore(store, path) {
      store.setDefaultContent([{ meta: { path: { id: path } } }, {}]);
      store.addCellListener("pets", null, "species", (_store, _table, row, _cell, value) => {
        received.push([row, value]);
      });
    },
  });
  const opened = await server.sync.open("pets");
  opened.store.setCell("pets", "rex", "species", "dinosaur");
  await opened.saved();
  assert.ok(documents.parts.get("pets")!.has('["t","pets","rex"]'));
  await using a = await synced(`${server.url}/sync/pets`);
  await using b = await synced(`${server.url}/sync/pets`);
  await converged(a.store, b.store, opened.store);
  assert.equal(a.store.getCell("meta", "path", "id"), "pets");
  b.store.setCell("pets", "fido", "species", "dog");
  await converged(a.store, b.store, opened.store);
  opened.store.setCell("pets", "fido", "tags", ["good", { boy: true }] as never);
  await converged(a.store, b.store, opened.store);
  same(a.store.getCell("pets", "fido", "tags"), ["good", { boy: true }]);
  assert.deepEqual(received, [["rex", "dinosaur"], ["fido", "dog"]]);
  assert.equal(server.sync.getStore("pets"), opened.store);

  // An open store keeps its path loaded without clients.
  await a.close();
  await b.close();
  await until("the clients to leave", () => server.sync.getStats().clients === 0);
  assert.equal(server.paths.getState("pets"), "ready");
  await opened[Symbol.asyncDispose]();
  await until("the path to be removed", () => server.sync.getStats().paths === 0);
  await using relay = await syncServer();
  await assert.rejects(relay.sync.open("pets"), { code: "no_store" });
});

Deno.test("T09 a mutating or throwing listener on the server does not affect clients", async () => {
  await using server = await syncServer({
    ...stored(),
    onStore(store) {
      store.addCellListener("pets", null, "age", (given, table, row, cell, age) => {
        if (Number(age) > 30) given.setCell(table, row, cell, 30);
      }, true);
      store.addCellListener("pets", "bad", null, () => {
        throw new Error("a bad listener");
      });
    },
  });
  await using a = await synced(`${server.url}/sync/pets`);
  await using b = await synced(`${server.url}/sync/pets`);
  a.store.setCell("pets", "fido", "age", 99);
  await until("the correction", () => a.store.getCell("pets", "fido", "age") === 30);
  await converged(a.store, b.store, server.sync.getStore("pets")!);
  a.store.setCell("pets", "bad", "species", "dog");
  assert.match((await server.log.next()).message, /could not be merged/);
  a.store.setCell("pets", "tom", "species", "cat");
  await until("later changes", () => b.store.hasRow("pets", "tom"));
});

Deno.test("T12 tokens are checked before the upgrade, and for each channel of a multiplexed socket", async () => {
  await using server = await syncServer({
    ...stored(),
    pathsOptions: {
      async allow({ url }, path) {
        await Promise.resolve();
        const token = new URL(url).searchParams.get("token");
        if (token === null) return new Response(null, { status: 401 });
        return path.startsWith(`${token}/`) ? "write" : new Response(null, { status: 403 });
      },
    },
  });
  const statusOf = async (target: string) => {
    const headers = { upgrade: "websocket", connection: "upgrade" };
    const { status, body } = await fetch(server.url + target, { headers });
    await body?.cancel();
    return status;
  };
  assert.equal(await statusOf("/sync/ann/pets"), 401);
  assert.equal(await statusOf("/sync/bob/pets?token=ann"), 403);
  await using a = await synced(`${server.url}/sync/ann/pets?token=ann`);
  a.store.setValue("open", true);
  await assert.rejects(synced(`${server.url}/sync`, { channel: "ann/pets" }));

  const url = `${server.url.replace("http", "ws")}/sync?token=ann`;
  const socket = new WebSocket(url, ["tinybase"]);
  await using b = await synced(url, { socket, channel: "ann/pets" });
  await converged(a.store, b.store);
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  await assert.rejects(synced(url, { socket, channel: "bob/pets" }));
  assert.equal((await within("the close", closed)).code, 1008);
});

Deno.test("T12 a reader receives all content; its changes are not forwarded, and are reverted in its store", async () => {
  const { documents, createPersisterForPath } = stored();
  await using server = await syncServer({
    createPersisterForPath,
    pathsOptions: { allow: ({ url }) => url.includes("reader") ? "read" : "write" },
  });
  await using writer = await synced(`${server.url}/sync/pets`);
  writer.store.setTables({ pets: { fido: { species: "dog", age: 1 }, tom: { species: "cat" } } });
  writer.store.setValues({ open: true });
  const away = createMergeableStore();
  away.setCell("pets", "fido", "species", "wolf"); // while it was offline
  away.setCell("pets", "stray", "species", "fox");
  await using reader = await synced(`${server.url}/sync/pets?reader`, { store: away });
  const store = server.sync.getStore("pets")!;
  const before = hashesOf(store);
  const wanted = { fido: { species: "dog", age: 1 }, tom: { species: "cat" } };
  await until("the offline changes to be reverted", () => {
    return JSON.stringify(sorted(reader.store.getTable("pets"))) === JSON.stringify(sorted(wanted));
  });
  reader.store.setCell("pets", "fido", "age", 100).setValue("open", false).setValue("mine", 1);
  reader.store.delRow("pets", "tom");
  await until("the live changes to be reverted", () => {
    const { open, mine } = reader.store.getValues();
    return open === true && mine === undefined &&
      JSON.stringify(sorted(reader.store.getTable("pets"))) === JSON.stringify(sorted(wanted));
  });
  assert.equal(hashesOf(store), before);
  assert.equal(hashesOf(writer.store), before);
  assert.equal([...documents.parts.get("pets")!.keys()].some((key) => key.includes("stray")), false);

  writer.store.setCell("pets", "fido", "age", 2);
  await until("a later change", () => reader.store.getCell("pets", "fido", "age") === 2);
  assert.deepEqual(reader.errors, []);
});

const sorted = (table: Record<string, Record<string, unknown>>) =>
  Object.entries(table).map(([id, row]) => [id, Object.entries(row).sort()]).sort();

Deno.test("T13 a path has a maximum number of clients, multiplexed ones included", async () => {
  await using server = await syncServer({ pathsOptions: { maxConnectionsPerPath: 1 } });
  await using _a = await server.connect("/sync/pets");
  const response = await fetch(`${server.url}/sync/pets`, { headers: { upgrade: "websocket" } });
  assert.deepEqual([response.status, (await response.json()).error.code], [503, "path_full"]);
  await using mux = await server.connect("/sync", ["tinybase"]);
  mux.send('S\n["a",-1,[0,1]]');
  mux.send('S\n["b",-1,[1,"pets"]]');
  assert.equal((await mux.closed).code, 1013);
});

Deno.test("T08 a thousand paths with ten clients each are loaded, and unloaded after use", async () => {
  const clock = new FakeClock(Date.now());
  let open = 0;
  const { documents } = stored();
  const tenants = paths();
  const protocol = tinybase({
    paths: tenants.api,
    createPersisterForPath: (path) => ({
      load: () => (open++, documents.load(path)),
      save: (parts) => documents.save(path, parts),
      close: () => void open--,
    }),
  });
  let host: Host;
  const limits = { maxConnections: 10_000, maxConnectionsPerIp: 10_000 };
  // Without a network, because ten thousand sockets would measure the runtime.
  await using server = await offline({ clock, ...limits }, tenants, protocol, {
    name: "host",
    start: (given) => void (host = given),
  });
  const connect = async (path: number) => {
    const request = new Request(`http://test/sync/p${path}`);
    const admission = await host.admit(protocol.endpoints![0]!, request, "127.0.0.1");
    assert.ok(!(admission instanceof Response));
    const transport = new FakeTransport();
    transport.onClose = admission.release;
    const { connection: conn, incoming } = admission.open(transport);
    return { conn, incoming, transport };
  };
  const timers = clock.pending;
  const one = createMergeableStore();
  one.setCell("t", "r", "c", 1);
  const change = `["d",3,${JSON.stringify([unhashed(one.getMergeableContent()[0]), [{}], 1])}]`;

  const all = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => Promise.all(Array.from({ length: 10 }, () => connect(i)))),
  );
  assert.deepEqual(protocol.api.getStats(), { paths: 1_000, clients: 10_000 });
  for (const [first] of all) first!.incoming.receive(`\n${change}`);
  await until(
    "all to receive it",
    () =>
      all.every(([, ...others]) =>
        others.every(({ transport }) => String(transport.frames[0]).endsWith(change))
      ),
  );
  await until("all to be saved", () => documents.parts.size === 1_000);
  assert.equal(open, 1_000);

  for (const { conn } of all.flat()) conn.close(closeCodes.normal);
  await until("all to be unloaded", () => protocol.api.getStats().paths === 0);
  assert.deepEqual([open, tenants.api.getPathIds(), tenants.api.getStats().held], [0, [], 0]);
  assert.ok(clock.pending <= timers, `${clock.pending} timers, ${timers} before`);
  const { transport, incoming } = await connect(999);
  incoming.receive('S\n["q",1,""]');
  await until("the response", () => transport.frames.length > 0);
  assert.equal(transport.frames[0], `S\n["q",0,[${hashesOf(one)}]]`);
  assert.equal(server.log.size, 0);
});
