import assert from "node:assert/strict";
import { createMergeableStore } from "tinybase";
import { Answers } from "../../../plugins/protocols/tinybase/answers.ts";
import { chunksOf } from "../../../plugins/protocols/tinybase/chunks.ts";
import type { Changes } from "../../../plugins/protocols/tinybase/messages.ts";
import { StoredContent } from "../../../plugins/protocols/tinybase/stored_content.ts";
import { FakeClock, roundTrips, until } from "../../kit/mod.ts";
import { converged, hashesOf, memoryDocuments, persisterOf, stored, synced, syncServer } from "./kit.ts";

/** The change of a client that has filled its store. */
function filled(rows: number, cells: number): { changes: Changes; hashes: unknown } {
  const store = createMergeableStore("a");
  store.transaction(() => {
    for (let row = 0; row < rows; row++) {
      for (let cell = 0; cell < cells; cell++) store.setCell("t", `r${row}`, `c${cell}`, row * cell);
    }
    for (let value = 0; value < cells; value++) store.setValue(`v${value}`, value);
  });
  return {
    changes: [...store.getMergeableContent(), 1] as unknown as Changes,
    hashes: store.getMergeableContentHashes(),
  };
}

/** The change without the hashes in it, as clients send it. */
function sent(changes: Changes): string {
  const store = createMergeableStore("b");
  store.applyMergeableChanges(changes as never);
  const tables = store.getMergeableTableDiff({}) as unknown as [Changes[0], unknown];
  return JSON.stringify(["c1", 3, [tables[0], store.getMergeableValueDiff({}), 1]]);
}

Deno.test("sockets are read while a large change is merged, and requests are answered from all of it", async () => {
  await using server = await syncServer(stored());
  await using writer = await server.connect("/sync/large");
  await using reader = await server.connect("/sync/large");
  const { changes, hashes } = filled(4_000, 8);
  const change = sent(changes);
  await using trips = await roundTrips();
  writer.send(`\n${change}`);
  writer.send('S\n["r1",1,""]');
  while (!(await reader.nextText()).endsWith(change));
  const before = trips.count;
  reader.send('S\n["r2",1,""]');
  const answered = async (client: typeof reader, id: string) => {
    for (;;) {
      const [requestId, type, body] = JSON.parse((await client.nextText()).split("\n")[1]!);
      if (requestId === id && type === 0) return body;
    }
  };
  assert.deepEqual(await answered(reader, "r2"), hashes);
  assert.ok(trips.count - before >= 5, `${trips.count - before} round trips during the merge`);
  assert.deepEqual(await answered(writer, "r1"), hashes);
});

Deno.test("an answer is encoded anew after a change of the store", async () => {
  await using server = await syncServer(stored());
  await using reader = await server.connect("/sync/same");
  await using opened = await server.sync.open("same");
  const ask = async (id: string) => {
    reader.send(`S\n["${id}",4,{}]`);
    for (;;) {
      const message = (await reader.nextText()).split("\n")[1]!;
      if (message.startsWith(`["${id}",0,`)) return message.slice(`["${id}",0,`.length, -1);
    }
  };
  opened.store.setCell("t", "r", "c", 1);
  const first = await ask("q1");
  assert.equal(await ask("q2"), first);
  opened.store.setCell("t", "r", "c", 2);
  const second = await ask("q3");
  assert.notEqual(second, first);
  assert.equal(JSON.parse(second)[0][0].t[0].r[0].c[0], 2);
});

Deno.test("what an empty client receives is always all that is saved, whoever changed it and however", async () => {
  const documents = memoryDocuments();
  await using server = await syncServer({ createPersisterForPath: persisterOf(documents) });
  const url = `${server.url}/sync/pets`;
  await using reader = await server.connect("/sync/pets");
  let asked = 0;
  const ask = (type: 4 | 7) => reader.send(`S\n["q${++asked}",${type},{}]`);
  const answered = async () => {
    for (;;) {
      const message = (await reader.nextText()).split("\n")[1]!;
      if (message.startsWith(`["q${asked}",0,`)) return JSON.parse(message)[2];
    }
  };
  const encoded = (value: unknown) =>
    JSON.parse(JSON.stringify(value, (_, each) => each === undefined ? "\uFFFC" : each));
  await using opened = await server.sync.open("pets");
  const { store } = opened;
  const writer = await synced(url);
  const changes: (() => void)[] = [
    () => writer.store.setRow("pets", "fido", { name: "Fido", age: 1, tags: ["a", { b: 1 }] }),
    () => writer.store.setCell("pets", "fido", "age", 3),
    () => store.setTables({ pets: { fido: { age: 2 }, rex: { age: 1 } }, 'a "table"': { r: { c: "\n" } } }),
    () => writer.store.delRow("pets", "fido").setValue("open", true),
    () => store.delValues().setValue("v", "😀"),
    () => writer.store.delTable("pets"),
  ];
  for (const change of changes) {
    const before = hashesOf(store);
    change();
    await until(
      "both have it",
      () => hashesOf(store) !== before && hashesOf(store) === hashesOf(writer.store),
    );
    await opened.saved();
    ask(4);
    assert.deepEqual(await answered(), encoded(store.getMergeableTableDiff({})));
    ask(7);
    assert.deepEqual(await answered(), encoded(store.getMergeableValueDiff({})));
  }
  await writer.close();
});

Deno.test("answers are remembered for each kind of request, until the content changes or they are old", () => {
  const clock = new FakeClock();
  const answers = new Answers(clock);
  const content = new StoredContent();
  content.setRow("t", "r", '[{"c":[1,""]}]');
  const first = answers.toAll(4, content);
  assert.equal(first, '[[{"t":[{"r":[{"c":[1,""]}]}]}],{}]');
  assert.equal(answers.toAll(7, content), "[{}]");
  assert.equal(answers.toAll(4, content), first);
  for (
    const [change, expected] of [
      [() => content.setRow("t", "r", "[{}]"), '[[{"t":[{"r":[{}]}]}],{}]'],
      [() => content.setTablesHlc("T"), '[[{"t":[{"r":[{}]}]},"T"],{}]'],
      [() => content.setTablesHlc("R", "t"), '[[{"t":[{"r":[{}]},"R"]},"T"],{}]'],
    ] as const
  ) {
    change();
    assert.equal(answers.toAll(4, content), expected);
  }
  content.setValue("v", "[1]");
  content.setValuesHlc("V");
  assert.equal(answers.toAll(7, content), '[{"v":[1]},"V"]');
  assert.equal(clock.pending, 1);
  clock.advance(5_000);
  assert.equal(clock.pending, 0);
});

Deno.test("chunks are small, even of one row and of values, and together they are the content", () => {
  for (const [rows, cells] of [[1_000, 3], [1, 4_000], [3, 700]] as const) {
    const { changes, hashes } = filled(rows, cells);
    const whole = JSON.parse(sent(changes))[2] as Changes;
    const store = createMergeableStore("c");
    let chunks = 0;
    for (const chunk of chunksOf(whole)) {
      const [[tables], [values]] = chunk;
      const sizes = Object.values(tables).flatMap(([all]) => Object.values(all))
        .map(([each]) => Object.keys(each).length);
      assert.ok(sizes.reduce((a, b) => a + b, Object.keys(values).length) <= 500);
      store.applyMergeableChanges(chunk as never);
      chunks++;
    }
    assert.ok(chunks > 1);
    assert.deepEqual(store.getMergeableContentHashes(), hashes, `${rows} rows of ${cells} cells`);
  }
});

Deno.test("a path that takes long to read is read with pauses, and its hashes are sent first", async () => {
  const { changes, hashes } = filled(200, 3);
  const [[tables]] = JSON.parse(sent(changes))[2] as Changes;
  const rows = Object.entries(tables).flatMap(([table, [all]]) =>
    Object.entries(all).map(([row, stamp]) =>
      [JSON.stringify(["t", table, row]), JSON.stringify(stamp)] as const
    )
  );
  let taken = 0;
  function* slowly(): Iterable<readonly [string, string]> {
    for (const end = performance.now() + 15; performance.now() < end;); // a cold disk: longer than a slice
    yield ['["h"]', JSON.stringify(hashes)];
    for (const row of rows) {
      for (const end = performance.now() + 1; performance.now() < end;);
      yield row;
      taken++;
    }
  }
  await using server = await syncServer({ createPersisterForPath: () => ({ load: slowly, save() {} }) });
  await using client = await server.connect("/sync/slow");
  client.send('\n["hashes",1,""]');
  assert.equal(await client.nextText(), `S\n["hashes",0,${JSON.stringify(hashes)}]`);
  assert.ok(taken < rows.length, `${taken} of ${rows.length} rows were read`);
  client.send('S\n["tables",4,{}]');
  const [, answer] = (await client.nextText()).split("\n");
  assert.equal(taken, rows.length);
  assert.deepEqual(JSON.parse(answer!)[2][0][0].t[0], tables.t![0]);
});

Deno.test("a client with an empty store receives every kind of cell as it was stored", async () => {
  await using server = await syncServer(stored());
  const url = `${server.url}/sync/kinds`;
  const writer = await synced(url);
  writer.store.setTables({
    'a "table"': {
      "row\n1": { text: 'a "quoted"\n\\ text', smile: "😀", none: "", yes: true, number: -1.5e-7 },
    },
    plain: { row: { list: [1, { a: "b" }], gone: 1, nothing: null }, ["__proto__"]: { cell: 1 } },
  });
  writer.store.delCell("plain", "row", "gone").setValue("v", { deep: ["x"] }).setValue("old", 1).delValue(
    "old",
  );
  await until(
    "the path is stored",
    () => hashesOf(server.sync.getStore("kinds")!) === hashesOf(writer.store),
  );
  await writer.close();
  await until("the path is closed", () => server.sync.getPathIds().length === 0);
  await using reader = await synced(url);
  await converged(reader.store, writer.store);
});
