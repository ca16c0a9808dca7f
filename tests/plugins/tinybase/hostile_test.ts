import assert from "node:assert/strict";
import { createMergeableStore } from "tinybase";
import { type Client, FakeClock, RawClient, until } from "../../kit/mod.ts";
import {
  converged,
  hashesOf,
  memoryDocuments,
  persisterOf,
  same,
  stored,
  synced,
  syncServer,
} from "./kit.ts";

/** A server with two real clients that must not be affected. */
async function withBystanders(options: Parameters<typeof syncServer>[0] = stored()) {
  const server = await syncServer(options);
  const a = await synced(`${server.url}/sync/pets`);
  const b = await synced(`${server.url}/sync/pets`);
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      a.store.setValue("still", "here");
      await converged(a.store, b.store, ...[server.sync.getStore("pets")].flatMap((store) => store ?? []));
      assert.deepEqual([...a.errors, ...b.errors], []);
      await a.close();
      await b.close();
      await server.server.stop();
    },
  };
}

async function closedWith(client: Client, code: number, reason: string | RegExp): Promise<void> {
  const closed = await client.closed;
  assert.equal(closed.code, code, closed.reason);
  if (typeof reason === "string") assert.equal(closed.reason, reason);
  else assert.match(closed.reason, reason);
}

Deno.test("client ids are not taken from the client", async () => {
  await using server = await withBystanders();
  for (const key of ["S", "M", "", "x\ty", "a".repeat(300)]) {
    using raw = await RawClient.connect(server.port);
    await raw.request("/sync/pets", { "sec-websocket-key": key });
    const ids = server.sync.getClientIds("pets");
    assert.ok(ids.every((id) => /^[0-9a-f-]{36}$/.test(id)), ids.join());
  }
  const same = { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
  using one = await server.raw("/sync/pets", same);
  using two = await server.raw("/sync/pets", same);
  await until("both to join", () => server.sync.getClientIds("pets").length >= 4);
  assert.equal(new Set(server.sync.getClientIds("pets")).size, server.sync.getClientIds("pets").length);
  void [one, two];
});

Deno.test("malformed requests are refused, without effect on others", async () => {
  await using server = await withBystanders();
  for (
    const target of ["*", "/sync/../pets", "/sync/%2e%2e", "//", "/sync/%00", `/sync/${"x".repeat(5_000)}`]
  ) {
    using raw = await RawClient.connect(server.port);
    const head = await raw.request(target);
    assert.match(head, /^HTTP\/1.1 4\d\d /, target);
  }
});

Deno.test("an invalid message closes its sender with TinyBase's code, and is not forwarded", async () => {
  await using server = await withBystanders();
  const wrong = [
    "",
    "x",
    "\n",
    "\nx",
    "\n[]",
    '\n["a",1,"x"]',
    '\n["a",3,[[{}]]]',
    `\n${"[".repeat(100_000)}`,
    // TinyBase's clients would close their socket for these, or throw.
    '\n["a",3,[[{}],[{"v":[1e999,"P6vlbfb----7JQY8"]}],1]]',
    `\n["a",3,[[{}],[{"v":[${"[".repeat(10_000)}${"]".repeat(10_000)},"P6vlbfb----7JQY8"]}],1]]`,
  ];
  for (const frame of [...wrong, 'S\n["a",-1,[0,1]]']) {
    await using client = await server.connect("/sync/pets");
    client.send(frame);
    await closedWith(client, 1007, "tinybase:14");
  }
  const wrongOnMux = [
    '\n["a",1,""]',
    'S\n["a",-1,[0,2]]',
    'S\n["a",-1,[3,"x"]]',
    'S\n["a",-1,[1,"a/../b"]]',
    'S\n["a",-1,[1,""]]',
    'S\n["a",-1,[1,7]]',
    'S\n[null,-1,[1,"a"]]',
    'M\nunknown\n\n["a",1,""]',
    "M\n",
  ];
  for (const frame of wrongOnMux) {
    await using client = await server.connect("/sync", ["tinybase"]);
    client.send('S\n["h",-1,[0,1]]');
    client.send(frame);
    assert.equal(await client.nextText(), 'S\n["h",-1,[0,1]]');
    await closedWith(client, 1007, "tinybase:14");
  }
  await using bytes = await server.connect("/sync/pets");
  bytes.send(new Uint8Array([10, 91, 93]));
  await closedWith(bytes, 1003, "unsupported data");
});

Deno.test("channels are limited in number and length", async () => {
  // With a stopped clock, the server sends no requests by itself.
  await using server = await withBystanders({ ...stored(), clock: new FakeClock(Date.now()) });
  await using long = await server.connect("/sync", ["tinybase"]);
  long.send('S\n["h",-1,[0,1]]');
  long.send(`S\n["a",-1,[1,"${"x".repeat(1_025)}"]]`);
  await closedWith(long, 1013, "tinybase:15:channels");
  await using many = await server.connect("/sync", ["tinybase"]);
  many.send('S\n["early",-1,[1,"ignored"]]'); // before Hello: no response
  many.send('S\n["h",-1,[0,1]]');
  for (let i = 0; i < 100; i++) many.send(`S\n["${i}",-1,[1,"c${i}"]]`);
  many.send('S\n["again",-1,[1,"c0"]]'); // costs nothing
  assert.equal(await many.nextText(), 'S\n["h",-1,[0,1]]');
  for (let i = 0; i < 101; i++) assert.match(await many.nextText(), /^S\n\["(\d+|again)",-1,\[1,"c\d+"\]\]$/);
  assert.equal(server.sync.getStats().clients, 102);
  many.send('S\n[null,-1,[2,"c0"]]');
  many.send('S\n["b",-1,[1,"c100"]]');
  assert.match(await many.nextText(), /c100/);
  many.send('S\n["c",-1,[1,"c101"]]');
  await closedWith(many, 1013, "tinybase:15:channels");
});

Deno.test("incomplete messages are not forwarded, and too many of them close their sender", async () => {
  await using server = await withBystanders();
  await using client = await server.connect("/sync/pets");
  const idOf = (i: number) => String(i).padStart(16, "0");
  for (let i = 0; i < 101; i++) client.send(`\n${idOf(i)}\n0\n2\n["a",`);
  await closedWith(client, 1013, "tinybase:15:fragments");
  await using twice = await server.connect("/sync/pets");
  twice.send(`\n${idOf(1)}\n0\n2\n["a",`);
  twice.send(`\n${idOf(1)}\n0\n2\n["a",`);
  await closedWith(twice, 1007, "tinybase:14");
  await using broken = await server.connect("/sync/pets");
  broken.send(`\n${idOf(1)}\n0\n2\n["a",`);
  broken.send(`\n${idOf(1)}\n1\n2\n!]`);
  await closedWith(broken, 1007, "tinybase:14");
});

Deno.test("incomplete messages expire", async () => {
  const clock = new FakeClock(Date.now());
  await using server = await syncServer({ clock, ...stored() });
  await using client = await server.connect("/sync/pets");
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 90; i++) client.send(`\n${String(i).padStart(16, "0")}\n0\n2\n["a",`);
    client.send(`S\n["${round}",1,""]`);
    await until("the response", async () => (await client.nextText()).startsWith(`S\n["${round}",0`));
    clock.advance(1_000);
  }
});

Deno.test("a frame of nearly 16 MiB passes, a larger one closes its sender", async () => {
  const largest = 16_777_216 - 2_048;
  const [head, tail] = ['\n["a",3,[[{"t":[{"r":[{"c":["', '","P6vlbfb----7JQY8"]}]}]}],[{}],1]]'] as const;
  const frameOf = (size: number) => head + "x".repeat(size - head.length - tail.length) + tail;
  await using server = await syncServer();
  await using a = await server.connect("/sync/pets");
  await using b = await server.connect("/sync/pets");
  a.send(frameOf(largest));
  assert.equal((await b.nextText()).length, largest + 36);
  // A real client closes its socket for more than 16 MiB, with the sender's id and the channel.
  await using real = await synced(`${server.url}/sync`, { channel: "pets", timeoutSeconds: 0.1 });
  a.send(frameOf(largest));
  await until("the cell", () => real.store.hasCell("t", "r", "c"));
  a.send(frameOf(largest + 1));
  await closedWith(a, 1009, "message too large");
  assert.ok(real.socket.readyState === WebSocket.OPEN);
});

Deno.test("a client with a clock years ahead is closed with a reason, and its changes are not forwarded", async () => {
  await using server = await withBystanders();
  const years = createMergeableStore(undefined, () => Date.now() + 3 * 365 * 86_400_000);
  years.setCell("pets", "future", "species", "robot");
  const client = await synced(`${server.url}/sync/pets`, { timeoutSeconds: 0.2, sync: false });
  const closed = new Promise<CloseEvent>((resolve) => client.socket.onclose = resolve);
  await client.close();
  await closed;
  const ahead = await synced(`${server.url}/sync/pets`, { store: years, timeoutSeconds: 0.2, sync: false });
  const closedAhead = new Promise<CloseEvent>((resolve) => ahead.socket.onclose = resolve);
  await ahead.synchronizer.startSync();
  const { code, reason } = await closedAhead;
  assert.deepEqual([code, reason], [
    1008,
    "clock more than five minutes ahead: changes are rejected",
  ]);
  assert.equal(server.sync.getStore("pets")!.hasTable("pets"), false);
  await ahead.synchronizer.destroy();
});

Deno.test("a client that sends no responses delays nobody, and receives few requests", async () => {
  await using server = await withBystanders();
  await using mute = await server.connect("/sync/pets");
  for (let i = 0; i < 1_000; i++) mute.send(`\n["${i}",2,[${i},${i}]]`);
  mute.send('S\n["q",1,""]');
  let questions = 0;
  for (let frame = await mute.nextText(); !frame.startsWith('S\n["q",0'); frame = await mute.nextText()) {
    questions++;
  }
  assert.ok(questions <= 3, `${questions} questions`);
});

Deno.test("a client that sends no changes is asked a few times only", async () => {
  const clock = new FakeClock(Date.now());
  await using server = await syncServer({ ...stored(), clock, requestTimeoutMs: 20 });
  await using silent = await server.connect("/sync/pets");
  const requestOf = async (type: number): Promise<string> => {
    for (;;) {
      const [, text] = (await silent.nextText()).split("\n");
      const [id, asked] = JSON.parse(text!);
      if (asked === type) return id;
    }
  };
  clock.advance(250);
  for (let tries = 0; tries < 4; tries++) {
    silent.send(`S\n["${await requestOf(1)}",0,[1,1]]`);
    await requestOf(4);
    assert.match((await server.log.next()).message, /could not be fetched/);
    clock.advance(1_000);
  }
  clock.advance(60_000);
  silent.send('S\n["q",1,""]');
  let frame = "";
  while (!frame.startsWith('S\n["q",0')) {
    assert.notEqual(JSON.parse((frame = await silent.nextText()).slice(2))[1], 1);
  }
});

Deno.test("responses without a request, or from another client, are ignored", async () => {
  await using server = await withBystanders();
  await using client = await server.connect("/sync/pets");
  const cells = '[{"pets":[{"forged":[{"c":[1,"P6vlbfb----7JQY8"]}]}]}]';
  client.send(`S\n["made-up",0,${cells}]`);
  client.send(`S\n[null,0,[${cells},{}]]`);
  client.send('S\n["q",1,""]');
  await until("the response", async () => (await client.nextText()).startsWith('S\n["q",0'));
  assert.equal(server.sync.getStore("pets")!.hasRow("pets", "forged"), false);
});

Deno.test("malformed responses affect only their own pull", async () => {
  await using server = await withBystanders({ ...stored(), requestTimeoutMs: 100 });
  await using client = await server.connect("/sync/pets");
  for (const body of ["[1,2]", '[{"v":[1]}]', "[[{}],{}]"]) {
    client.send('\n["h",2,[1,1]]');
    let question: string[] = [];
    await until("the request", async () => {
      question = JSON.parse((await client.nextText()).slice(2));
      return question[1] as unknown === 4;
    });
    client.send(`S\n["${question[0]}",0,${body}]`);
  }
  client.send('S\n["q",1,""]');
  await until("the response", async () => (await client.nextText()).startsWith('S\n["q",0'));
  server.log.take();
});

Deno.test("messages before a path is loaded are held up to a limit", async () => {
  const loading = Promise.withResolvers<Iterable<[string, string]>>();
  await using server = await syncServer({
    createPersisterForPath: () => ({ load: () => loading.promise, save() {} }),
    pathsOptions: { maxHeldMessages: 5 },
  });
  await using client = await server.connect("/sync/pets");
  for (let i = 0; i < 6; i++) client.send(`S\n["${i}",1,""]`);
  await closedWith(client, 1013, "tinybase:15:server");
  loading.resolve([]);
});

const sizeOf = (parts: Map<string, string>) =>
  [...parts].reduce((size, [key, text]) => size + new TextEncoder().encode(key + text).length, 0);

Deno.test("a store has a maximum size", async () => {
  const documents = memoryDocuments();
  await using server = await syncServer({
    createPersisterForPath: persisterOf(documents),
    maxStoreBytes: 10_000,
  });
  await using a = await synced(`${server.url}/sync/pets`);
  const closed = new Promise<CloseEvent>((resolve) => a.socket.onclose = resolve);
  for (let i = 0; a.socket.readyState === WebSocket.OPEN && i < 1_000; i++) {
    a.store.setCell("pets", `row ${i}`, "c", "ü".repeat(500));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const { code, reason } = await closed;
  assert.deepEqual([code, reason], [1013, "tinybase:15:store"]);
  const size = sizeOf(documents.parts.get("pets")!);
  assert.ok(size > 8_000 && size <= 10_000, `${size}`);
});

Deno.test("a store's maximum size applies to offline changes", async () => {
  const documents = memoryDocuments();
  await using server = await syncServer({
    clock: new FakeClock(Date.now()),
    createPersisterForPath: persisterOf(documents),
    maxStoreBytes: 10_000,
  });
  const large = createMergeableStore();
  for (let i = 0; i < 20; i++) large.setCell("pets", `row ${i}`, "c", "x".repeat(1_000));
  await using a = await synced(`${server.url}/sync/pets`, { store: large });
  assert.match(String((await server.log.next()).fields.error), /no room/);
  await using b = await synced(`${server.url}/sync/pets`);
  b.store.setValue("open", true);
  await until("the change that fits", () => a.store.hasValue("open"));
  await converged(b.store, server.sync.getStore("pets")!);
  assert.ok(sizeOf(documents.parts.get("pets")!) < 1_000);
});

Deno.test("a store's maximum size applies to changes held while it is loaded", async () => {
  const documents = memoryDocuments();
  const loading = Promise.withResolvers<void>();
  await using server = await syncServer({
    createPersisterForPath: (path) => ({
      ...persisterOf(documents)(path),
      load: () => loading.promise.then(() => []),
    }),
    maxStoreBytes: 10_000,
  });
  await using client = await server.connect("/sync/pets");
  const changeOf = (value: string, bytes: number) =>
    `\n["a",3,[[{}],[{"${value}":["${"x".repeat(bytes)}","P6vlbfb----7JQY8"]}],1]]`;
  client.send(changeOf("large", 20_000));
  client.send(changeOf("small", 200));
  await until("both to be held", () => server.paths.getStats().held === 2);
  loading.resolve();
  await until("the small one to be stored", () => documents.parts.has("pets"));
  same(Object.keys(server.sync.getStore("pets")!.getValues()), ["small"]);
  assert.match((await server.log.next()).message, /no room/);
});

Deno.test("a store of the maximum size reaches a client with an empty store", async () => {
  await using server = await syncServer(stored());
  await using opened = await server.sync.open("pets");
  // Few characters, many bytes: the limit is in bytes.
  for (let i = 0; i < 5; i++) opened.store.setCell("pets", `${i}`, "c", "木".repeat(1_060_000));
  await opened.saved();
  await using a = await synced(`${server.url}/sync/pets`);
  await converged(a.store, opened.store);
  const closed = new Promise<CloseEvent>((resolve) => a.socket.onclose = resolve);
  a.store.setCell("pets", "one", "more", "木".repeat(100_000));
  assert.equal((await closed).reason, "tinybase:15:store");
});

Deno.test("empty rows do not make the hashes of stores differ permanently", async () => {
  await using server = await withBystanders();
  await using client = await server.connect("/sync/pets");
  for (let i = 0; i < 3; i++) client.send(`\n["${i}",3,[[{"t":[{"r${i}":[{}]}],"u":[{}]}],[{}],1]]`);
  client.send('S\n["q",1,""]');
  await until("the response", async () => (await client.nextText()).startsWith('S\n["q",0'));
  assert.equal(hashesOf(server.sync.getStore("pets")!), "0,0");
});
