import assert from "node:assert/strict";
import { Server } from "../../../core/mod.ts";
import { channels, memoryBroker, type PublishOptions } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { FakeClock } from "../../kit/clock.ts";
import { everywhere } from "../../kit/remote.ts";
import { serveChannels, subscribed } from "./kit.ts";

everywhere(
  "B11 a publish that is repeated with its key has one effect, and per channel in a broadcast",
  async (where) => {
    await using server = await serveChannels(where);
    await using client = await subscribed(server, "a");
    const { bus } = server;
    const publish = (data: number, options: PublishOptions) => bus.publish("a", data, options);
    const results = await Promise.all([
      publish(1, { idempotencyKey: "k" }),
      publish(1, { idempotencyKey: "k" }),
      publish(2, { idempotencyKey: "k", idempotencyOwner: "ann" }),
      publish(2, { idempotencyKey: "k", idempotencyOwner: "ann" }),
    ]);
    assert.deepEqual(results.map(({ offset }) => offset), [1, 1, 2, 2]);
    assert.deepEqual(results.map(({ suppressed }) => suppressed), [
      undefined,
      "idempotency",
      undefined,
      "idempotency",
    ]);
    for (let n = 0; n < 2; n++) {
      const settled = await bus.broadcast(["a", "b", "\0"], 3, { idempotencyKey: "broadcast" });
      const offsets = settled.map((each) =>
        each.status === "fulfilled" ? each.value.offset : each.reason.code
      );
      assert.deepEqual(offsets, [3, 1, "bad_request"]);
    }
    for (const data of [1, 2, 3]) assert.equal((await client.nextJson()).data, data);
    assert.equal((await bus.history("a")).publications.length, 3);
  },
);

everywhere("B11 an older version is dropped, and the result is the current position", async (where) => {
  await using server = await serveChannels(where, { namespaces: { none: { historySize: 0 } } });
  const { bus } = server;
  const publish = (version: number, versionEpoch?: string) =>
    bus.publish("a", version, { version, ...(versionEpoch !== undefined && { versionEpoch }) });
  assert.equal((await publish(5)).offset, 1);
  await bus.publish("a", "without version");
  const { epoch, ...dropped } = await publish(5);
  assert.deepEqual(dropped, { offset: 2, receivers: 0, suppressed: "version" });
  assert.equal((await publish(6)).offset, 3);
  assert.equal((await publish(1, "later")).offset, 4);
  assert.equal((await publish(6)).offset, 5, "another epoch than the latest");
  assert.equal((await bus.history("a")).top.epoch, epoch);
  await assert.rejects(bus.publish("none:a", 1, { version: 1 }), { code: "not_available" });
  await assert.rejects(bus.publish("a", 1, { version: 1, ephemeral: true }), { code: "not_available" });
});

everywhere("keys and versions of wrong types are refused", async (where) => {
  await using server = await serveChannels(where);
  const wrong: object[] = [
    ...["", "x".repeat(201), 5, null].map((idempotencyKey) => ({ idempotencyKey })),
    ...[0, -1, 1.5, NaN, "1"].map((idempotencyMs) => ({ idempotencyKey: "k", idempotencyMs })),
    ...[0, -1, 1.5, Infinity, "1", 2 ** 53].map((version) => ({ version })),
    ...["x".repeat(201), 5, "a\0", "\ud800"].map((versionEpoch) => ({ version: 1, versionEpoch })),
  ];
  for (const options of wrong) {
    await assert.rejects(
      server.bus.publish("a", 1, options),
      { code: "bad_request" },
      JSON.stringify(options),
    );
  }
});

Deno.test("clients have their own keys: a user on all connections, others on one", async () => {
  const where = {
    name: "",
    remote: false,
    broker: memoryBroker,
    cluster: () => undefined,
    store: () => undefined,
  };
  await using server = await serveChannels({ ...where, patient: (service) => service });
  const users = ["ann", "ann", "bob", "", ""];
  const offsets: number[] = [];
  for (const user of users) {
    const client = await subscribed(server, `own:${offsets.length}`, {}, user);
    const all = [...server.bus.clients.values()];
    const { offset } = await all.at(-1)!.publish("a", 1, { idempotencyKey: "k", idempotencyOwner: "forged" });
    offsets.push(offset);
    void client;
  }
  assert.deepEqual(offsets, [1, 1, 2, 3, 4]);
  assert.equal(
    (await server.bus.publish("a", 1, { idempotencyKey: "k" })).offset,
    5,
    "the server has its own",
  );
});

Deno.test("B11 keys and versions survive a restart with a database, for five minutes", async () => {
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock();
  async function run<T>(work: (bus: ReturnType<typeof channels>["api"]) => Promise<T>): Promise<T> {
    const server = new Server({ port: false, clock });
    const store = server.use(persistence({ path: `${folder}/a.db` }));
    const bus = server.use(channels({ broker: sqliteBroker({ store }) }));
    await server.start();
    try {
      return await work(bus);
    } finally {
      await server.stop();
    }
  }
  const options = { idempotencyKey: "k" };
  const first = await run(async (bus) => {
    await bus.publish("ephemeral", 1, { ...options, ephemeral: true });
    await bus.publish("a", 1, { version: 7 });
    return await bus.publish("a", 2, options);
  });
  clock.advance(299_999);
  await run(async (bus) => {
    const { offset, epoch } = first;
    assert.deepEqual(await bus.publish("a", 2, options), {
      offset,
      epoch,
      receivers: 0,
      suppressed: "idempotency",
    });
    assert.equal((await bus.publish("a", 1, { version: 7 })).suppressed, "version");
    const ephemeral = await bus.publish("ephemeral", 1, { ...options, ephemeral: true });
    assert.equal(ephemeral.suppressed, "idempotency");
    clock.advance(1);
    assert.equal((await bus.publish("a", 2, options)).offset, 3);
  });
  await Deno.remove(folder, { recursive: true });
});
