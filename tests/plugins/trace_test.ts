/** Tests of traced calls and of following clients and channels. */

import assert from "node:assert/strict";
import type { AnyPlugin, ServerOptions } from "../../core/mod.ts";
import { auth } from "../../plugins/auth.ts";
import { channels } from "../../plugins/channels.ts";
import { trace, type TraceOptions, type TraceRecord } from "../../plugins/trace.ts";
import { channelProtocol } from "../kit/channel_protocol.ts";
import { FakeClock, Inbox, serve, until, within } from "../kit/mod.ts";

/** Returns a trace and its records. */
function recorded(options: TraceOptions = {}) {
  const records: TraceRecord[] = [];
  const { api } = trace({ ...options, output: (line) => void records.push(JSON.parse(line)) });
  return { ...api, records };
}

Deno.test("C07 a call writes ENTER and EXIT in the form of the original", () => {
  const { traced, records } = recorded();
  const service = traced("ChatService", {
    add: (a: number, b: number) => a + b,
    handleWebSocketConnection({ roomId: _room, username: _name }: { roomId: string; username: string }) {},
  });
  assert.equal(service.add(1, 2), 3);
  service.handleWebSocketConnection({ roomId: "general", username: "Alice" });

  const [enter, exit, second, end] = records;
  assert.deepEqual(Object.keys(enter!), ["timestamp", "event", "thread", "class", "function", "args"]);
  assert.deepEqual(Object.keys(exit!), [
    "timestamp",
    "event",
    "thread",
    "class",
    "function",
    "result",
    "durationMicros",
    "durationMillis",
  ]);
  const { timestamp, thread, ...entered } = enter!;
  assert.ok(Math.abs(timestamp - Date.now()) < 60_000 && Number.isInteger(timestamp));
  assert.equal(typeof thread, "string");
  assert.deepEqual(entered, { event: "ENTER", class: "ChatService", function: "add", args: '{"a":1,"b":2}' });
  assert.deepEqual([exit!.event, exit!.thread, exit!.result], ["EXIT", thread, "3"]);
  assert.ok(Number.isInteger(exit!.durationMicros) && Number.isInteger(exit!.durationMillis));
  assert.equal(second!.args, '{"roomId":"general","username":"Alice"}');
  assert.equal(end!.result, "void");
  assert.notEqual(second!.thread, thread);
});

Deno.test("C07 a failed call writes EXCEPTION and throws the same error", async () => {
  const { traced, records } = recorded();
  const error = new TypeError("no such room");
  const service = traced("Rooms", {
    find(_id: string) {
      throw error;
    },
    load: (_id: string) => Promise.reject(error),
  });
  assert.throws(() => service.find("x"), (thrown) => thrown === error);
  await assert.rejects(service.load("x"), (thrown) => thrown === error);
  const failures = records.filter(({ event }) => event === "EXCEPTION");
  assert.deepEqual(failures.map(({ exception }) => exception), Array(2).fill("TypeError: no such room"));
  assert.ok(failures.every(({ durationMicros, result }) => durationMicros! >= 0 && result === undefined));
});

Deno.test("C07 nested calls have the same thread, across awaits and concurrent calls", async () => {
  const { traced, records } = recorded();
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const inner = traced("Inner", {
    async step(name: string) {
      await turn();
      return name;
    },
  });
  const outer = traced("Outer", {
    async run(name: string) {
      await turn();
      await Promise.all([inner.step(name), inner.step(name)]);
      await turn();
      return await inner.step(name);
    },
  });
  await Promise.all(["a", "b", "c"].map((name) => outer.run(name)));
  const threads = new Map<string, Set<string>>();
  for (const { event, args, thread } of records) {
    if (event !== "ENTER") continue;
    const { name } = JSON.parse(args!);
    threads.set(name, (threads.get(name) ?? new Set()).add(thread));
  }
  assert.equal(records.length, 3 * 4 * 2);
  assert.deepEqual([...threads.values()].map(({ size }) => size), [1, 1, 1]);
  assert.equal(new Set([...threads.values()].flatMap((each) => [...each])).size, 3);
  const exits = records.filter(({ event, class: service }) => event === "EXIT" && service === "Outer");
  assert.ok(exits.every(({ result }) => /^"[abc]"$/.test(result!)), "the result is the resolved value");
});

Deno.test("C07 secrets are redacted by name and by form", () => {
  const { traced, records } = recorded({ secretNames: ["pin"] });
  const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
  const service = traced("Accounts", {
    signIn: (_user: string, _password: string) => ({
      token: "t0ps3cret",
      user: { name: "ann", apiKey: "k3y" },
    }),
    call: (...args: unknown[]) => args,
    fail(): void {
      throw new Error(`bad token ${jwt} at redis://user:hunter2@host`);
    },
  });
  service.signIn("ann", "hunter2");
  service.call("Bearer abcdefghijkl", { nested: { PIN: "1234", list: [{ Cookie: "c00kie" }] } }, jwt);
  service.call({ url: "https://x.example/?token=t0ps3cret&a=1", body: '{"password":"hunter2","a":1}' });
  service.call(
    JSON.stringify({ inner: JSON.stringify({ token: "n3sted" }) }),
    "Cookie: id=cr1sp; more=cr1sp",
  );
  assert.throws(() => service.fail());
  const text = JSON.stringify(records);
  for (
    const secret of [
      ...["hunter2", "t0ps3cret", "k3y", "abcdefghijkl", "1234", "c00kie", jwt, "c2lnbmF0dXJl"],
      ...["n3sted", "cr1sp"],
    ]
  ) {
    assert.ok(!text.includes(secret), secret);
  }
  assert.match(text, /ann/);
  assert.match(records[0]!.args!, /"_password":"\[redacted\]"/);
});

Deno.test("C07 a record is short JSON for any arguments", () => {
  const { traced, records } = recorded({ maxChars: 500 });
  const cycle: Record<string, unknown> = { name: "cycle" };
  cycle.self = cycle;
  let deep: unknown = "end";
  for (let n = 0; n < 1_000; n++) deep = { deep };
  class Socket {
    id = "abc";
    secret = "inside";
  }
  const values: [unknown, RegExp][] = [
    ["x".repeat(1_000_000), /x{200}… \(999800 more characters\)/],
    ["é😀".repeat(1_000), /…/],
    [Array.from({ length: 1_000 }, (_, i) => i), /19,"… \(1000 entries\)"/],
    [Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i])), /"…":"100 fields"/],
    [cycle, /circular/],
    [deep, /\[Object\]/],
    [10n, /"10"/],
    [NaN, /"NaN"/],
    [Symbol("s"), /Symbol\(s\)/],
    [function named() {}, /\[function named\]/],
    [new Uint8Array(9), /\[Uint8Array of 9\]/],
    [new Map([[1, 2]]), /\[Map of 1\]/],
    [new Socket(), /\[Socket abc\]/],
    [new Date(0), /1970-01-01T00:00:00.000Z/],
    [new Date(NaN), /invalid date/],
    [new Error("oops"), /Error: oops/],
    [null, /null/],
    [undefined, /^\{"_first":1\}$/],
    [Object.create(null), /\{\}/],
  ];
  const service = traced("S", { take: (_first: unknown, _second: unknown) => {} });
  for (const [value, expected] of values) {
    service.take(1, value);
    const { args } = records.splice(0)[0]!;
    assert.doesNotThrow(() => JSON.parse(args!));
    assert.match(args!, expected);
    assert.ok(args!.length < 1_500, `${args!.length} characters`);
  }
});

Deno.test("C07 arguments have the names of the parameters", () => {
  const { traced, records } = recorded();
  const service = traced("S", {
    method(a: number, b = 2) {
      return a + b;
    },
    arrow: async (a: unknown) => await a,
    rest: (first: number, ...others: number[]) => first + others.length,
    pattern: ([a]: number[], b: number) => a! + b,
    nothing() {},
  });
  service.method(1, 3);
  service.arrow([1]);
  service.rest(1, 2, 3);
  service.pattern([1], 2);
  service.nothing();
  const entered = records.filter(({ event }) => event === "ENTER").map(({ args }) => args);
  assert.deepEqual(entered, [
    '{"a":1,"b":3}',
    '{"a":[1]}',
    '{"first":1,"others":[2,3]}',
    '{"arg0":[1],"arg1":2}',
    "{}",
  ]);
});

Deno.test("C07 a traced service behaves like the service: state, getters, classes, this", () => {
  class Counter {
    #count = 0;
    label = "c";
    get count() {
      return this.#count;
    }
    add(by: number): this {
      this.#count += by;
      return this;
    }
    addTwice(by: number) {
      this.add(by);
      this.add(by);
    }
  }
  const { traced, records } = recorded();
  const plain = new Counter();
  const counter: Counter = traced("Counter", plain);
  counter.addTwice(2);
  counter.label = "d";
  const { add } = counter;
  add(1);
  assert.equal(counter.count, 5);
  assert.equal(plain.label, "d");
  assert.ok(counter instanceof Counter);
  assert.equal(counter.add, counter.add);
  assert.deepEqual(records.map(({ event, function: name }) => `${event} ${name}`), [
    "ENTER addTwice",
    "EXIT addTwice",
    "ENTER add",
    "EXIT add",
  ]);
});

Deno.test("C07 without an output, the traced service is the service itself", () => {
  const service = { run: () => 1 };
  assert.equal(trace().api.traced("S", service), service);
});

Deno.test("C07 writes records to a rotating file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const plugin = trace({ output: { file: `${folder}/sub/trace.jsonl`, maxBytes: 2_000, keep: 2 } });
    const service = plugin.api.traced("S", { take: (n: number) => n });
    const clock = new FakeClock();
    await using _server = await serve({ clock }, plugin);
    const lines = (name: string) =>
      Deno.readTextFileSync(`${folder}/sub/${name}`).trimEnd().split("\n").map((line) => JSON.parse(line));
    service.take(0);
    assert.equal(Deno.statSync(`${folder}/sub/trace.jsonl`).size, 0, "lines are written in batches");
    clock.advance(100);
    assert.deepEqual(lines("trace.jsonl").map(({ event }) => event), ["ENTER", "EXIT"]);
    for (let n = 1; n <= 40; n++) {
      service.take(n);
      clock.advance(100);
    }
    const files = [...Deno.readDirSync(`${folder}/sub`)].map(({ name }) => name).sort();
    assert.deepEqual(files, ["trace.jsonl", "trace.jsonl.1", "trace.jsonl.2"]);
    const all = files.reverse().flatMap(lines).filter(({ event }) => event === "EXIT").map(({ result }) =>
      +result
    );
    assert.equal(all.at(-1), 40);
    assert.deepEqual(all, all.map((_, i) => all[0]! + i), "the latest records are there without gaps");
    assert.ok(files.every((name) => Deno.statSync(`${folder}/sub/${name}`).size <= 2_000));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("C07 stopping the server writes the last records to the file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const plugin = trace({ output: { file: `${folder}/trace.jsonl` } });
    const service = plugin.api.traced("S", { last() {} });
    const user: AnyPlugin = { name: "user", stop: () => service.last() };
    await (await serve({}, plugin, user)).server.stop();
    assert.equal(Deno.readTextFileSync(`${folder}/trace.jsonl`).trimEnd().split("\n").length, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("C07 a file that cannot be opened fails the start; one that cannot be written does not stop the server", async () => {
  const bad = trace({ output: { file: "/dev/null/trace.jsonl" } });
  await assert.rejects(serve({}, bad), { code: "start_failed", message: /^Cannot start trace: / });

  const full = trace({ output: { file: "/dev/full" } });
  const service = full.api.traced("S", { run: (n: number) => n });
  const clock = new FakeClock();
  await using server = await serve({ clock }, full);
  assert.equal(service.run(1), 1);
  clock.advance(100);
  assert.match((await server.log.next()).message, /cannot write the trace/);
  assert.equal(service.run(2), 2);
  clock.advance(100);
  assert.equal(server.log.size, 0);
});

/** Starts a server with channels and a trace. */
async function followed(options: TraceOptions = {}, serverOptions: ServerOptions = {}) {
  const bus = channels();
  const plugin = trace({
    channels: bus.api,
    allow: (request) => request.headers.get("x-admin") === "yes",
    ...options,
  });
  const server = await serve(serverOptions, plugin, bus, channelProtocol(bus.api));
  return Object.assign(server, {
    bus: bus.api,
    trace: plugin.api,
    ask: (query: string, admin = "yes") =>
      server.fetch(`/api/trace${query}`, { headers: { "x-admin": admin } }),
    /** Follows a client or channel and collects the lines. */
    async follow(query: string) {
      const abort = new AbortController();
      const init = { headers: { "x-admin": "yes" }, signal: abort.signal };
      const response = await server.fetch(`/api/trace${query}`, init);
      assert.equal(response.status, 200);
      // deno-lint-ignore no-explicit-any -- tests look into what they expect
      const lines = new Inbox<any>();
      const done = (async () => {
        let rest = "";
        try {
          for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
            const all = (rest + part).split("\n");
            rest = all.pop()!;
            for (const line of all) lines.put(JSON.parse(line));
          }
        } catch { /* aborted at the end of the test */ }
      })();
      assert.ok((await lines.next()).following);
      return {
        lines,
        done,
        async [Symbol.asyncDispose]() {
          abort.abort();
          await done;
        },
      };
    },
  });
}

Deno.test("B13 follows one client live: messages, publishes, deliveries and the close, with times", async () => {
  await using server = await followed();
  await using other = await server.connect("/t?user=other");
  await using ann = await server.connect("/t?user=ann");
  await until("both", () => server.bus.clients.size === 2);
  const id = [...server.bus.clients.values()].find(({ identity }) => identity.user === "ann")!.id;
  await using stream = await server.follow(`?client=${id}`);
  const next = async () => {
    const { time, client, event, channel, detail } = await stream.lines.next();
    assert.ok(Math.abs(time - Date.now()) < 60_000);
    assert.ok(client === id || client === undefined);
    return [event, channel, detail];
  };

  ann.sendJson({ do: "subscribe", channel: "news", token: "s3cret" });
  const [event, , { data }] = await next();
  assert.equal(event, "message");
  assert.match(data, /subscribe.*news/);
  assert.ok(!data.includes("s3cret"));
  assert.deepEqual(await next(), ["subscribe", "news", {
    user: "ann",
    serverSide: false,
    recoverable: true,
  }]);

  other.sendJson({ do: "publish", channel: "news", data: { n: 1 } });
  assert.deepEqual(await next(), ["delivery", "news", { offset: 1, receivers: 1, data: '{"n":1}' }]);
  await server.bus.publish("elsewhere", { n: 2 });
  ann.sendJson({ do: "publish", channel: "elsewhere", data: 3 });
  assert.deepEqual((await next())[0], "message");
  assert.deepEqual(await next(), ["publish", "elsewhere", { data: "3" }]);
  // A publish with `except` is a publish of that client and not a delivery to it.
  await server.bus.publish("news", 4, { ephemeral: true, except: id });
  assert.deepEqual(await next(), ["publish", "news", { data: "4" }]);
  assert.deepEqual(await next(), ["published", "news", { offset: 0, receivers: 0 }]);
  await ann.close();
  const ends = [await next(), await next()].map(([what]) => what).sort();
  assert.deepEqual(ends, ["close", "unsubscribe"]);
});

Deno.test("B13 follows one channel live", async () => {
  await using server = await followed();
  await using stream = await server.follow("?channel=news");
  await using ann = await server.connect("/t?user=ann");
  ann.sendJson({ do: "subscribe", channel: "other" });
  ann.sendJson({ do: "subscribe", channel: "news" });
  const subscribed = await stream.lines.next();
  assert.deepEqual([subscribed.event, subscribed.detail.user], ["subscribe", "ann"]);
  await server.bus.publish("other", 0);
  await server.bus.publish("news", { n: 1 }, { tags: { a: "b" } });
  const steps = [await stream.lines.next(), await stream.lines.next(), await stream.lines.next()];
  assert.deepEqual(steps.map(({ event, detail }) => [event, detail]), [
    ["publish", { data: '{"n":1}', tags: { a: "b" } }],
    ["delivery", { offset: 1, receivers: 1, data: '{"n":1}' }],
    ["published", { offset: 1, receivers: 1 }],
  ]);
  ann.sendJson({ do: "unsubscribe", channel: "news" });
  assert.equal((await stream.lines.next()).event, "unsubscribe");
});

Deno.test("B13 only admins may follow, up to the maximum number of followers", async () => {
  await using server = await followed({ maxFollowers: 1 });
  const status = async (query: string, admin?: string) => {
    const response = await server.ask(query, admin);
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status("?client=x", "no"), 403);
  assert.equal(await status(""), 400);
  for (let i = 0; i < 2; i++) {
    const { status } = await server.fetch("/api/trace?client=x", {
      method: "HEAD",
      headers: { "x-admin": "yes" },
    });
    assert.equal(status, 200, "HEAD opens no stream");
  }
  {
    await using _one = await server.follow("?client=x");
    assert.equal(await status("?client=y"), 429);
  }
  await until("its end", async () => await status("?client=y") === 200);

  const bus = channels();
  await using closed = await serve({}, trace({ channels: bus.api }), bus);
  const response = await closed.fetch("/api/trace?client=x");
  await response.body?.cancel();
  assert.equal(response.status, 403, "nobody may by default");

  const access = auth({ apiKeys: [{ key: "admin-key", name: "operator", permissions: ["admin"] }] });
  const follow = trace({
    allow: async (request, ip) => (await access.api.requestIdentity(request, ip)).can("admin", "trace"),
  });
  await using signedIn = await serve({}, access, follow);
  const statusFor = async (headers: Record<string, string>) => {
    const answer = await signedIn.fetch("/api/trace?client=x", { headers });
    await answer.body?.cancel();
    return answer.status;
  };
  assert.deepEqual([await statusFor({}), await statusFor({ "x-api-key": "wrong" })], [403, 403]);
  assert.equal(await statusFor({ "x-api-key": "admin-key" }), 200);
});

Deno.test("B13 streams end when the server stops, without delaying it", async () => {
  const server = await followed({}, { drainMs: 600_000 });
  const stream = await server.follow("?channel=news");
  await within("the stop", server.server.stop());
  await within("the stream's end", stream.done);
});

Deno.test("B13 without followers, the channels are not extended", () => {
  let extensions = 0;
  const bus = channels();
  const counting = {
    clientOf: bus.api.clientOf,
    extend(extension: Parameters<typeof bus.api.extend>[0]) {
      extensions++;
      const end = bus.api.extend(extension);
      return () => {
        extensions--;
        end();
      };
    },
  };
  const { api } = trace({ channels: counting });
  assert.equal(extensions, 0);
  const ends = [api.follow({ channel: "a" }, () => {}), api.follow({ channel: "b" }, () => {})];
  assert.equal(extensions, 1);
  for (const end of [...ends, ...ends]) end();
  assert.equal(extensions, 0);
});

Deno.test("B13 a follower that throws affects neither the others nor the publisher", async () => {
  await using server = await followed();
  const heard: string[] = [];
  server.trace.follow({ channel: "news" }, () => {
    throw new Error("oops");
  });
  server.trace.follow({ channel: "news" }, ({ event }) => heard.push(event));
  await server.bus.publish("news", 1);
  assert.deepEqual(heard, ["publish", "published"]);
  assert.match((await server.log.next()).message, /a follower failed/);
});

Deno.test("B13 a follower that does not read loses events and receives their number", async () => {
  await using server = await followed();
  const response = await server.ask("?channel=news");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const payload = { text: "x".repeat(10_000) };
  // More than the buffers of the socket and the stream hold.
  for (let n = 0; n < 40_000; n++) await server.bus.publish("news", payload);
  let text = "";
  const more = async () => {
    const { value } = await within("more", reader.read());
    text = (text + value).slice(-100_000);
  };
  const live = setInterval(() => server.bus.publish("news", 1), 5);
  try {
    while (!/"leftOut":\d+/.test(text)) await more();
  } finally {
    clearInterval(live);
    await reader.cancel();
  }
});
