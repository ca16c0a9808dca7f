import assert from "node:assert/strict";
import { createMergeableStore } from "tinybase";
import { type MaybePromise } from "../../../core/mod.ts";
import { type PathPersister } from "../../../plugins/protocols/tinybase.ts";
import { Saver } from "../../../plugins/protocols/tinybase/saver.ts";
import { StoredContent } from "../../../plugins/protocols/tinybase/stored_content.ts";
import { FakeClock, until } from "../../kit/mod.ts";
import {
  converged,
  hashesOf,
  persisterOf,
  same,
  sqliteDocuments,
  stored,
  synced,
  syncServer,
  unhashed,
} from "./kit.ts";

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
    ["[]", ""],
    ['["t","pets",5]', '[{"species":["dog","P6vlbfb----7JQY8"]}]'],
    ['["t",null,"fido"]', '[{"species":["dog","P6vlbfb----7JQY8"]}]'],
    ['["v",{}]', '["dog","P6vlbfb----7JQY8"]'],
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
  const ahead = createMergeableStore(undefined, () => clock.wallTime());
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
    createPersisterForPath: persisterOf(documents, () => full),
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

Deno.test("T06 a save that fails while its store stops is not retried, as the persister is closed", async () => {
  const clock = new FakeClock();
  const { promise, reject } = Promise.withResolvers<void>();
  const calls: string[] = [];
  const persister: PathPersister = {
    load: () => [],
    save: () => (calls.push("save"), promise),
    close: () => void calls.push("close"),
  };
  const ignore = () => {};
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const saver = new Saver(createMergeableStore(), new StoredContent(), {
    side: { path: "pets" },
    persister,
    clock,
    log,
  });
  saver.dirty.values.add("open");
  const flushed = assert.rejects(saver.flush(), /disk full/);
  const stopped = saver.stop();
  reject(new Error("disk full"));
  await Promise.all([flushed, stopped]);
  clock.advance(60_000);
  assert.deepEqual(calls, ["save", "close"]);
});

Deno.test("T06 what is saved, with the clocks of rows and tables, is what clients with empty stores receive", async () => {
  const hlc = "P6vlbfb----7JQY8";
  const values = [{ open: [true, hlc] }, hlc];
  const changes = [[{ pets: [{ rex: [{ age: [1, hlc] }, hlc] }, hlc] }, hlc], values, 1];
  const store = createMergeableStore();
  store.applyMergeableChanges(changes as never);
  const parts = new Map<string, string>();
  const persister: PathPersister = {
    load: () => parts,
    save: (changed) => changed.forEach((text, key) => parts.set(key, text)),
  };
  const ignore = () => {};
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const content = new StoredContent();
  const saver = new Saver(store, content, { side: { path: "pets" }, persister, clock: new FakeClock(), log });
  saver.dirty.add({ pets: [{ rex: [] }] }, { open: [] });
  await saver.flush();
  const loaded = new StoredContent();
  for (const [key, text] of parts) loaded.add(key, text);
  for (const { encodedTables, encodedValues, hashes, size } of [content, loaded]) {
    assert.equal(`[${encodedTables},{}]`, JSON.stringify(store.getMergeableTableDiff({})));
    assert.equal(encodedValues, JSON.stringify(store.getMergeableValueDiff({})));
    assert.deepEqual(hashes, store.getMergeableContentHashes());
    assert.equal(size, content.size);
  }
});

Deno.test("T06 a path with unsaved changes stays loaded after the last client has left, until they are saved", async () => {
  const clock = new FakeClock(Date.now());
  const { documents } = stored();
  let full = false;
  await using server = await syncServer({
    clock,
    createPersisterForPath: persisterOf(documents, () => full),
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
