/** What servers for Centrifuge's SDKs get wrong most easily, as far as no other test shows it. */

import assert from "node:assert/strict";
import { closeCodes } from "../../../core/mod.ts";
import { disconnects } from "../../../plugins/protocols/centrifuge/codes.ts";
import {
  type CentrifugeServer,
  centrifugeServer,
  connectIn,
  type Encoding,
  fakeAccess,
  inEach,
} from "../../kit/centrifuge.ts";
import { until } from "../../kit/mod.ts";
import type { LineClient } from "../../kit/protobuf_client.ts";

type Line = Record<string, Record<string, unknown>>;

/** A client that gets its messages one by one. */
class Reader {
  readonly client: LineClient;
  readonly #lines: Line[] = [];

  constructor(client: LineClient) {
    this.client = client;
  }

  /** Connects and signs in. */
  static async open(server: CentrifugeServer, encoding: Encoding, token?: string): Promise<Reader> {
    const reader = new Reader(await connectIn(server, encoding));
    await reader.ask({ connect: token === undefined ? {} : { token }, id: 1 });
    return reader;
  }

  send(...commands: unknown[]): void {
    this.client.send(commands.map((command) => JSON.stringify(command)).join("\n"));
  }

  async next(): Promise<Line> {
    while (this.#lines.length === 0) {
      this.#lines.push(...(await this.client.nextText()).split("\n").map((line) => JSON.parse(line)));
    }
    return this.#lines.shift()!;
  }

  /** Sends a command and returns the next message. */
  ask(command: unknown): Promise<Line> {
    this.send(command);
    return this.next();
  }

  /** Subscribes and returns the result. */
  async subscribe(channel: string, more: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    return (await this.ask({ subscribe: { channel, ...more }, id: 2 })).subscribe!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }
}

Deno.test("B01 no reason of a close is JSON, which the SDK would take as instructions", () => {
  for (const { reason } of [...Object.values(closeCodes), ...Object.values(disconnects)]) {
    assert.throws(() => JSON.parse(reason));
  }
});

inEach("B02 the reply to a recovery has the position that the client asked from", async (encoding) => {
  await using server = await centrifugeServer();
  for (const n of [1, 2, 3]) await server.bus.publish("a", n);
  const { epoch } = (await server.bus.history("a")).top;
  await using reader = await Reader.open(server, encoding);
  const { offset, publications } = await reader.subscribe("a", { recover: true, offset: 1, epoch });
  assert.deepEqual([offset, (publications as { offset: number }[]).map((each) => each.offset)], [1, [2, 3]]);
});

inEach(
  "B02 a failed recovery says that it was one, and has the top and no publications",
  async (encoding) => {
    await using server = await centrifugeServer();
    for (const n of [1, 2, 3]) await server.bus.publish("a", n);
    const { epoch } = (await server.bus.history("a")).top;
    // The SDK sends the epoch `_` when its state was invalidated.
    for (const from of [{ offset: 2, epoch: "_" }, { epoch: "_" }, { offset: 9, epoch }]) {
      await using reader = await Reader.open(server, encoding);
      const reply = await reader.subscribe("a", { recover: true, ...from });
      assert.deepEqual(reply, {
        recoverable: true,
        positioned: true,
        epoch,
        offset: 3,
        was_recovering: true,
      });
    }
  },
);

inEach("B02 an empty epoch is that of any history", async (encoding) => {
  await using server = await centrifugeServer();
  for (const n of [1, 2]) await server.bus.publish("a", n);
  await using reader = await Reader.open(server, encoding);
  const { recovered, publications } = await reader.subscribe("a", { recover: true, offset: 1 });
  assert.deepEqual([recovered, (publications as unknown[]).length], [true, 1]);
});

inEach(
  "B02 an empty channel has an epoch, which its first publication and a removal do not change",
  async (encoding) => {
    await using server = await centrifugeServer();
    await using reader = await Reader.open(server, encoding);
    const { epoch, offset } = await reader.subscribe("a");
    assert.ok((epoch as string).length > 0);
    assert.equal(offset, undefined);
    await server.bus.publish("a", 1);
    assert.equal((await server.bus.history("a")).top.epoch, epoch);
    await server.bus.removeHistory("a");
    assert.deepEqual((await server.bus.history("a")).top, { offset: 1, epoch });
    await using late = await Reader.open(server, encoding);
    const { recovered, was_recovering } = await late.subscribe("a", { recover: true, epoch });
    assert.deepEqual([recovered, was_recovering], [undefined, true], "a position before the removal is lost");
  },
);

inEach("B02 a subscription that is only positioned does not claim to be recoverable", async (encoding) => {
  await using server = await centrifugeServer({ channels: { defaults: { recovery: "request" } } });
  await using reader = await Reader.open(server, encoding);
  const { positioned, recoverable, epoch } = await reader.subscribe("a", { positioned: true });
  assert.deepEqual([positioned, recoverable], [true, undefined]);
  assert.ok(epoch);
});

inEach("B01 an unsubscribe that follows a subscribe under way waits for it", async (encoding) => {
  await using server = await centrifugeServer();
  const allowed = Promise.withResolvers<void>();
  server.bus.extend({ name: "slow", beforeSubscribe: () => allowed.promise });
  await using reader = await Reader.open(server, encoding);
  reader.send(
    { subscribe: { channel: "a" }, id: 2 },
    { unsubscribe: { channel: "a" }, id: 3 },
    { subscribe: { channel: "a" }, id: 4 },
  );
  allowed.resolve();
  const kinds = [];
  for (let i = 0; i < 3; i++) kinds.push(Object.keys(await reader.next()).at(-1));
  assert.deepEqual(kinds, ["subscribe", "unsubscribe", "subscribe"]);
  assert.equal((await server.people.count("a")).clients, 1);
});

inEach(
  "B01 clients see their own join and not their own leave, and anonymous ones count as one user",
  async (encoding) => {
    await using server = await centrifugeServer();
    await using first = await Reader.open(server, encoding);
    await first.subscribe("a", { join_leave: true });
    const join = (await first.next()).push!;
    assert.deepEqual(Object.keys(join), ["channel", "join"]);
    await using second = await Reader.open(server, encoding);
    await second.subscribe("a");
    await first.next();
    assert.deepEqual((await first.ask({ presence_stats: { channel: "a" }, id: 3 })).presence_stats, {
      num_clients: 2,
      num_users: 1,
    });
    await second.client.close();
    assert.ok(((await first.next()).push as Record<string, unknown>).leave);
    assert.deepEqual(await first.ask({ unsubscribe: { channel: "a" }, id: 4 }), { id: 4, unsubscribe: {} });
    assert.deepEqual(await first.ask({ unsubscribe: { channel: "a" }, id: 5 }), { id: 5, unsubscribe: {} });
  },
);

inEach("B01 joins are for those who may list who is present", async (encoding) => {
  const access = fakeAccess({ good: { user: "alice" } });
  const channels = { defaults: { presenceAccess: "nobody" } } as const;
  await using server = await centrifugeServer({ channels, centrifuge: { access } });
  await using reader = await Reader.open(server, encoding, "good");
  await reader.subscribe("a", { join_leave: true });
  await using other = await Reader.open(server, encoding, "good");
  await other.subscribe("a");
  await until("both", () => server.bus.clients.size === 2);
  await server.bus.publish("a", "no join before");
  assert.ok((await reader.next()).push!.pub);
});

inEach("B01 a server that ends a subscription names the channel", async (encoding) => {
  await using server = await centrifugeServer({ channels: { defaults: { compaction: true } } });
  await using reader = await Reader.open(server, encoding);
  const { id } = await reader.subscribe("a", { flag: 1 });
  assert.equal(id !== undefined, encoding === "json", "the SDK's Protobuf build does not understand numbers");
  const [{ conn } = assert.fail()] = server.bus.clients.values();
  server.bus.unsubscribeClients({ client: conn.id }, "a");
  assert.deepEqual((await reader.next()).push, {
    channel: "a",
    unsubscribe: { code: 2000, reason: "server unsubscribe" },
  });
});
