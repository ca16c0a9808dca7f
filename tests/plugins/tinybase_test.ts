import assert from "node:assert/strict";
import { createMergeableStore } from "tinybase";
import { closeCodes, type Host, type MaybePromise } from "../../core/mod.ts";
import { paths } from "../../plugins/paths.ts";
import { type PathPersister, tinybase } from "../../plugins/protocols/tinybase.ts";
import { FakeClock, FakeTransport, offline, RawClient, until, within } from "../kit/mod.ts";
import {
  converged,
  hashesOf,
  memoryDocuments,
  persisterOf,
  same,
  sqliteDocuments,
  synced,
  syncServer,
} from "./tinybase/kit.ts";

const stored = () => {
  const documents = memoryDocuments();
  return { documents, createPersisterForPath: persisterOf(documents) };
};

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

Deno.test("T03 messages for the server are held while its store loads, then handled in order", async () => {
  const loading = Promise.withResolvers<Iterable<[string, string]>>();
  await using server = await syncServer({
    createPersisterForPath: () => ({ load: () => loading.promise, save() {} }),
  });
  const a = createMergeableStore();
  a.setCell("pets", "fido", "species", "dog");
  await using client = await server.connect("/sync/pets");
  client.send(`S\n["first",1,""]`);
  client.send(`\n["diff",3,${JSON.stringify([...a.getMergeableContent().map(unhashed), 1])}]`);
  client.send(`S\n["second",1,""]`);
  await until("the messages to be held", () => server.paths.getStats().held === 3);
  assert.equal(server.paths.getState("pets"), "configured");
  assert.equal(client.waiting, 0);
  loading.resolve([]);
  assert.equal(await client.nextText(), 'S\n["first",0,[0,0]]');
  assert.equal(await client.nextText(), `S\n["second",0,[${hashesOf(a)}]]`);
});

Deno.test("T03 a client with an empty store receives the stored content before the store is ready; others wait", async () => {
  const { documents, createPersisterForPath } = stored();
  const known = createMergeableStore();
  known.setTables({ pets: { fido: { species: "dog", tags: ["good"] as never } } }).setValue("open", true);
  known.setCell("pets", "fido", "legs", 3).delCell("pets", "fido", "legs");
  {
    await using server = await syncServer({ createPersisterForPath });
    await using client = await synced(`${server.url}/sync/pets`, { store: known });
    await until(
      "all to be saved",
      () => documents.parts.get("pets")?.get('["h"]') === `[${hashesOf(known)}]`,
    );
    await client.close();
  }
  const starting = Promise.withResolvers<void>();
  await using server = await syncServer({
    createPersisterForPath,
    async onStore(store) {
      await starting.promise;
      store.setValue("default", 1);
    },
  });
  await using alone = await synced(`${server.url}/sync/pets`);
  assert.equal(server.paths.getState("pets"), "configured");
  same(alone.store.getMergeableContent(), known.getMergeableContent());
  await until("its hashes to be held", () => server.paths.getStats().held === 1);
  await using raw = await server.connect("/sync/pets");
  raw.send('S\n["q",1,""]');
  await until("the request to be held", () => server.paths.getStats().held === 2);
  alone.store.setCell("pets", "tom", "species", "cat");
  starting.resolve();
  await until("the response", async () => /^S\n\["q",0,/.test(await raw.nextText()));
  await converged(alone.store, server.sync.getStore("pets")!);
  same(alone.store.getValues(), { open: true, default: 1 });
  assert.deepEqual(alone.errors, []);
});

Deno.test("T06 persisters are created by a callback, sync or async, and closed after the last client has left", async () => {
  for (const async of [false, true]) {
    const steps: string[] = [];
    await using server = await syncServer({
      createPersisterForPath(path): MaybePromise<PathPersister | undefined> {
        steps.push(`make ${path}`);
        if (path === "relay") return undefined;
        const persister: PathPersister = {
          load: () => (steps.push("load"), []),
          save: () => void steps.push("save"),
          close: () => void steps.push("close"),
        };
        return async ? Promise.resolve(persister) : persister;
      },
    });
    const states: string[] = [];
    server.paths.on("state", ({ state }) => states.push(state), "pets");
    const a = await synced(`${server.url}/sync/pets`);
    a.store.setValue("open", true);
    await until("the save", () => steps.includes("save"));
    await a.close();
    await until("the close", () => steps.includes("close"));
    assert.deepEqual(steps, ["make pets", "load", "save", "close"]);
    await until("the removal", () => server.paths.getPathIds().length === 0);
    assert.deepEqual(states, ["starting", "configured", "ready", "stopping"]);
    assert.equal(server.sync.getStore("pets"), undefined);
  }
});

Deno.test("T06 a change made during a save is saved after the last client has left", async () => {
  const { documents } = stored();
  const saving: PromiseWithResolvers<void>[] = [];
  await using server = await syncServer({
    createPersisterForPath: (path) => ({
      load: () => documents.load(path),
      async save(parts) {
        const done = Promise.withResolvers<void>();
        saving.push(done);
        await done.promise;
        await documents.save(path, parts);
      },
    }),
  });
  const a = await synced(`${server.url}/sync/pets`);
  a.store.setCell("pets", "fido", "name", "first");
  await until("the save", () => saving.length === 1);
  a.store.setCell("pets", "fido", "name", "second");
  await a.close();
  await until("the clients to leave", () => server.paths.getStats().clients === 0);
  saving[0]!.resolve();
  await until("the second save", () => saving.length === 2);
  saving[1]!.resolve();
  await until("the path to be removed", () => server.paths.getPathIds().length === 0);
  assert.match(documents.parts.get("pets")!.get('["t","pets","fido"]')!, /second/);
});

Deno.test("T06 after a failed load, the path is read-only and nothing is overwritten until a retry succeeds", async () => {
  const clock = new FakeClock(Date.now());
  const { documents } = stored();
  const former = createMergeableStore();
  former.setCell("pets", "old", "species", "dog");
  const part = JSON.stringify(unhashed(former.getMergeableContent()[0][0].pets![0].old!));
  await documents.save("pets", new Map([['["t","pets","old"]', part]]));
  let broken = true;
  let saves = 0;
  await using server = await syncServer({
    clock,
    createPersisterForPath: (path) => ({
      load() {
        if (broken) throw new Error("disk on fire");
        return documents.load(path);
      },
      save(parts) {
        saves++;
        return documents.save(path, parts);
      },
    }),
  });
  await using a = await synced(`${server.url}/sync/pets`, { timeoutSeconds: 0.1 });
  await using b = await synced(`${server.url}/sync/pets`, { timeoutSeconds: 0.1 });
  assert.equal(server.paths.getState("pets"), "failed");
  assert.match(String((await server.log.next()).fields.error), /disk on fire/);
  await assert.rejects(server.sync.open("pets"), { code: "path_failed" });
  a.store.setCell("pets", "new", "species", "cat");
  await a.synchronizer.save();
  await until("the messages to arrive", () => server.paths.getStats().messages > 0);
  same(b.store.getTables(), {});
  assert.equal(saves, 0);

  broken = false;
  clock.advance(1_000);
  await until("the path to be loaded", () => server.paths.getState("pets") === "ready");
  clock.advance(1_000); // the server requests the clients' hashes
  const store = server.sync.getStore("pets")!;
  await converged(a.store, b.store, store);
  same(store.getTables(), { pets: { old: { species: "dog" }, new: { species: "cat" } } });
  server.log.take();
});

Deno.test("T06 stored content that cannot be read is refused, not overwritten", async () => {
  const bad = [
    ['["t","pets","fido"]', "no json"],
    ['["t","pets","fido"]', '{"species":"dog"}'],
    ['["t","pets","fido"]', '[{"species":["dog","short"]}]'],
    ["fido", '[{"species":["dog","P6vlbfb----7JQY8"]}]'],
    ['["t","pets"]', "no clock"],
  ] as const;
  for (const part of bad) {
    const { documents, createPersisterForPath } = stored();
    await documents.save("pets", new Map([part]));
    await using server = await syncServer({ createPersisterForPath });
    await using a = await synced(`${server.url}/sync/pets`, { timeoutSeconds: 0.05 });
    a.store.setValue("open", true);
    assert.equal(server.paths.getState("pets"), "failed");
    const { fields } = await server.log.next();
    assert.match(String(fields.error), /The stored part .* cannot be read/);
    assert.deepEqual([...documents.parts.get("pets")!], [part]);
  }
});

Deno.test("T06 content is loaded even if the clock has been set back", async () => {
  const { createPersisterForPath } = stored();
  const clock = new FakeClock(Date.now() + 3_600_000);
  const ahead = createMergeableStore(undefined, () => clock.now());
  {
    await using server = await syncServer({ clock, createPersisterForPath });
    await using a = await synced(`${server.url}/sync/pets`, { store: ahead });
    ahead.setCell("pets", "fido", "species", "dog");
    await converged(ahead, server.sync.getStore("pets")!);
    await a.close();
  }
  await using server = await syncServer({ createPersisterForPath });
  await using opened = await server.sync.open("pets");
  same(opened.store.getTables(), { pets: { fido: { species: "dog" } } });
  assert.equal(hashesOf(opened.store), hashesOf(ahead));
});

Deno.test("T06 while saving fails, the server does not respond; it saves and responds when storage works again", async () => {
  const clock = new FakeClock(Date.now());
  const { documents } = stored();
  let full = true;
  await using server = await syncServer({
    clock,
    createPersisterForPath: (path) => ({
      load: () => documents.load(path),
      save(parts) {
        if (full) throw new Error("disk full");
        return documents.save(path, parts);
      },
    }),
  });
  await using a = await synced(`${server.url}/sync/pets`);
  await using b = await synced(`${server.url}/sync/pets`);
  a.store.setCell("pets", "fido", "species", "dog");
  await converged(a.store, b.store);
  assert.match((await server.log.next()).message, /could not be stored, next try in 1000 ms: disk full/);
  await using raw = await server.connect("/sync/pets");
  raw.send('S\n["q",1,""]');
  clock.advance(999);
  assert.equal(raw.waiting, 0);
  full = false;
  clock.advance(1);
  const answer = `S\n["q",0,[${hashesOf(a.store)}]]`;
  await until("the response", async () => await raw.nextText() === answer); // among the server's own requests
  assert.deepEqual([...documents.parts.get("pets")!.keys()], ['["t","pets","fido"]', '["h"]']);
});

Deno.test("T06 a path with unsaved changes stays loaded after the last client has left, until they are saved", async () => {
  const clock = new FakeClock(Date.now());
  const { documents } = stored();
  let full = false;
  await using server = await syncServer({
    clock,
    createPersisterForPath: (path) => ({
      load: () => documents.load(path),
      save(parts) {
        if (full) throw new Error("disk full");
        return documents.save(path, parts);
      },
    }),
  });
  const a = await synced(`${server.url}/sync/pets`);
  full = true;
  a.store.setCell("pets", "fido", "species", "dog");
  await server.log.next("the first failure");
  await a.close();
  assert.match((await server.log.next("the failure to flush")).message, /could not be stored/);
  assert.equal(server.paths.getState("pets"), "ready");
  await using b = await synced(`${server.url}/sync/pets`, { timeoutSeconds: 0.1 }); // a client that returns loses nothing
  full = false;
  clock.advance(60_000);
  await converged(a.store, b.store);
  await b.close();
  await until("the path to be removed", () => (clock.advance(1_000), server.paths.getPathIds().length === 0));
  assert.match(documents.parts.get("pets")!.get('["t","pets","fido"]')!, /dog/);
  server.log.take();
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

Deno.test("T11 a persister implements a small interface, here with a SQLite file", async () => {
  const file = await Deno.makeTempFile();
  using documents = sqliteDocuments(file);
  const a = createMergeableStore();
  {
    await using server = await syncServer({ createPersisterForPath: persisterOf(documents) });
    await using client = await synced(`${server.url}/sync/pets`, { store: a });
    a.setTables({ pets: { fido: { species: "dog", tags: ["a", { b: null }] as never, legs: 4 } } });
    a.setValues({ open: true, name: "ü😀" });
    a.delCell("pets", "fido", "legs").delValue("name");
    a.setCell("__proto__", "constructor", "__proto__", "x");
    await converged(a, server.sync.getStore("pets")!);
    await client.close();
  }
  await using server = await syncServer({ createPersisterForPath: persisterOf(documents) });
  await using client = await synced(`${server.url}/sync/pets`);
  await using opened = await server.sync.open("pets");
  await converged(a, client.store, opened.store);
  await client.close();
  await server.server.stop();
  await Deno.remove(file);
});

Deno.test("T11 changes that the store does not report are saved too", async () => {
  const { createPersisterForPath } = stored();
  const a = createMergeableStore();
  {
    await using server = await syncServer({ createPersisterForPath });
    await using client = await synced(`${server.url}/sync/pets`, { store: a });
    await using opened = await server.sync.open("pets");
    opened.store.setCell("pets", "fido", "age", 1);
    await converged(a, opened.store);
    a.transaction(() => a.setCell("pets", "fido", "age", 2).setCell("pets", "fido", "age", 1)); // a newer clock only
    a.transaction(() => a.setCell("pets", "tom", "age", 3).delRow("pets", "tom")); // a tombstone only
    await client.synchronizer.save();
    await converged(a, opened.store);
    await client.close();
  }
  await using server = await syncServer({ createPersisterForPath });
  await using opened = await server.sync.open("pets");
  assert.equal(hashesOf(opened.store), hashesOf(a));
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
  await using a = await synced(`${server.url}/sync/pets`, { timeoutSeconds: 5 });
  const took = performance.now() - from;
  assert.ok(took < 1_000, `${took} ms`);
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

Deno.test("T15 the server sends only what is saved", async () => {
  const { documents } = stored();
  const saving = Promise.withResolvers<void>();
  await using server = await syncServer({
    createPersisterForPath: (path) => ({
      load: () => documents.load(path),
      async save(parts) {
        await saving.promise;
        documents.save(path, parts);
      },
    }),
  });
  await using raw = await server.connect("/sync/pets");
  const [self] = server.sync.getClientIds("pets");
  await using a = await synced(`${server.url}/sync/pets`);
  a.store.setCell("pets", "fido", "species", "dog");
  assert.equal(JSON.parse((await raw.nextText()).split("\n")[1]!)[1], 3); // other clients receive it at once
  raw.send('S\n["q",1,""]');
  raw.send(`${self}\n["echo",1,""]`);
  assert.equal(await raw.nextText(), `${self}\n["echo",1,""]`);
  saving.resolve();
  assert.equal(await raw.nextText(), `S\n["q",0,[${hashesOf(a.store)}]]`);
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

/** Returns a stamp without hashes, as in messages. */
function unhashed(stamp: unknown): unknown {
  const [thing, hlc] = stamp as [unknown, string];
  const isTree = typeof thing === "object" && thing !== null;
  const tree = () =>
    Object.fromEntries(Object.entries(thing as object).map(([id, child]) => [id, unhashed(child)]));
  return [isTree ? tree() : thing, hlc];
}
