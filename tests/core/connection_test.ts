import assert from "node:assert/strict";
import {
  Audience,
  closeCode,
  closeCodes,
  type Closed,
  type Connection,
  type Endpoint,
} from "../../core/mod.ts";
import type { AnyPlugin, Message } from "../../core/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { offline, type RawClient, serve, turn, until, within } from "../kit/mod.ts";

const plain = echo().endpoints![0]!;

/** An endpoint made for one test. */
function endpointOf(open: (conn: Connection) => ReturnType<Endpoint["open"]>, more: object = {}): Endpoint {
  return { name: "test", path: "/test", open, ...more } as Endpoint;
}

Deno.test("messages of open hooks come before those of the endpoint", async () => {
  const endpoint = endpointOf((conn) => {
    conn.send("from the endpoint");
    return { message() {} };
  });
  await using server = await offline({}, {
    name: "greeter",
    open: (conn) => void conn.send("from a plugin"),
  });
  const { transport } = await server.connect(endpoint);
  await turn();
  assert.deepEqual(transport.frames, ["from a plugin", "from the endpoint"]);
});

Deno.test("all open hooks, then all close hooks, run for a connection that is closed while it opens", async () => {
  const calls: string[] = [];
  const banned = closeCode(4501, "banned");
  const plugin = (name: string, open: (conn: Connection) => void = () => {}): AnyPlugin => ({
    name,
    open(conn) {
      calls.push(`open ${name}`);
      open(conn);
    },
    close: (conn, { code, by }) => void calls.push(`close ${name} ${code} ${by} ${conn.open}`),
  });
  const endpoint = endpointOf(() => {
    calls.push("session");
    return { message() {} };
  });
  const closer = plugin("b", (conn) => {
    conn.send("you are banned");
    conn.close(banned);
    assert.equal(conn.send("too late"), false);
  });
  await using server = await offline({}, plugin("a"), closer, plugin("c"));
  const { conn, transport } = await server.connect(endpoint);
  assert.deepEqual(calls, [
    "open a",
    "open b",
    "open c",
    "close a 4501 server false",
    "close b 4501 server false",
    "close c 4501 server false",
  ]);
  assert.deepEqual([transport.frames, transport.closed], [["you are banned"], {
    code: 4501,
    reason: "banned",
  }]);
  assert.deepEqual([conn.open, server.server.connections.size], [false, 0]);
});

Deno.test("a session is closed if its endpoint closes the connection while it opens", async () => {
  const reasons: Closed[] = [];
  const endpoint = endpointOf((conn) => {
    conn.close(closeCodes.normal);
    return { message() {}, close: (why) => void reasons.push(why) };
  });
  await using server = await offline({});
  await server.connect(endpoint);
  assert.deepEqual(reasons, [{ code: 1000, reason: "normal", by: "server" }]);
});

Deno.test("close is called once, first for the session, then for the plugins, and nothing can be sent after", async () => {
  const calls: string[] = [];
  const endpoint = endpointOf((conn) => ({
    message() {},
    close() {
      calls.push(`session ${conn.send("x")}`);
      conn.close(closeCodes.normal);
    },
  }));
  const plugin: AnyPlugin = {
    name: "plugin",
    close(conn) {
      calls.push(`plugin ${conn.send("x")}`);
      conn.close(closeCodes.normal);
    },
  };
  await using server = await offline({}, plugin);
  const { conn, transport } = await server.connect(endpoint);
  conn.send("last words");
  conn.close(closeCodes.shutdown);
  conn.close(closeCodes.normal);
  conn.ended({ code: 1006, reason: "", by: "network" });
  conn.receive("late");
  conn.ping();
  await turn();
  assert.deepEqual(calls, ["session false", "plugin false"]);
  assert.deepEqual([transport.frames, transport.closed?.code], [["last words"], 3001]);
});

Deno.test("a close hook can send to other connections, and close them", async () => {
  const audience = new Audience();
  const plugin: AnyPlugin = {
    name: "domino",
    open: (conn) => void audience.add(conn),
    close(conn) {
      audience.delete(conn);
      audience.send("one has left");
      for (const other of audience) return other.close(closeCodes.normal);
    },
  };
  await using server = await offline({}, plugin);
  const all = [];
  for (let i = 0; i < 5; i++) all.push(await server.connect(plain));
  all[0]!.conn.close(closeCodes.normal);
  await turn();
  assert.deepEqual(all.map(({ transport }) => transport.frames.length), [0, 1, 2, 3, 4]);
  assert.equal(audience.size, 0);
});

Deno.test("a message that closes its connection is the last one that is handled", async () => {
  const handled: string[] = [];
  const endpoint = endpointOf((conn) => ({
    message(data: string) {
      handled.push(data);
      if (data === "bye") conn.close(closeCodes.normal);
    },
  }));
  const hooks: unknown[] = [];
  const witness: AnyPlugin = { name: "witness", message: (_, data) => void hooks.push(data) };
  const guard: AnyPlugin = {
    name: "guard",
    message(conn, data) {
      if (data === "evil") conn.close(closeCodes.normal);
    },
  };
  await using server = await offline({}, guard, witness);
  const one = await server.connect(endpoint);
  for (const data of ["hello", "bye", "after"]) one.conn.receive(data);
  const other = await server.connect(endpoint);
  other.conn.receive("evil");
  assert.deepEqual(handled, ["hello", "bye"]);
  assert.deepEqual(
    hooks,
    ["hello", "bye", "evil"],
    "a hook that closes the connection drops the message for the endpoint only",
  );
});

Deno.test("a message that is sent during a fan-out or a flush is sent once", async () => {
  const audience = new Audience();
  await using server = await offline({}, { name: "all", open: (conn) => void audience.add(conn) });
  const one = await server.connect(plain);
  const other = await server.connect(plain);
  audience.send((conn) => {
    conn.send("inner");
    other.conn.close(closeCodes.normal);
    return "outer";
  });
  await turn();
  assert.deepEqual(one.transport.frames, ["inner", "outer"]);
  // It was closed before the fan-out reached it.
  assert.deepEqual(other.transport.frames, []);
  one.transport.send = (frame) => {
    one.transport.frames.push(frame);
    if (frame === "a") one.conn.send("b");
  };
  one.conn.send("a");
  await turn();
  await turn();
  assert.deepEqual(one.transport.frames.slice(2), ["a", "b"]);
});

Deno.test("an encoder's error reaches the caller, and earlier members are served", async () => {
  const audience = new Audience();
  const [good, bad] = [Symbol("good"), Symbol("bad")];
  const formats = [good, bad].map((format) =>
    endpointOf(() => ({ message() {} }), { framing: () => ({ accepts: "text", format }) })
  );
  await using server = await offline({}, { name: "all", open: (conn) => void audience.add(conn) });
  const [a, b] = [await server.connect(formats[0]!), await server.connect(formats[1]!)];
  assert.throws(() =>
    audience.send(({ format }) => {
      if (format === bad) throw new Error("boom");
      return "fine";
    }), /boom/);
  await turn();
  assert.deepEqual([a.transport.frames, b.transport.frames], [["fine"], []]);
});

for (const wrong of [undefined, null, 7, {}, new ArrayBuffer(3), ["a"]]) {
  Deno.test(`a message that is ${wrong === null ? "null" : Object.prototype.toString.call(wrong)} throws in send`, async () => {
    await using server = await offline({});
    const { conn, transport } = await server.connect(plain);
    assert.throws(() => conn.send(wrong as Message), { code: "bad_message" });
    conn.send("a right one");
    await turn();
    assert.deepEqual([conn.open, transport.frames], [true, ["a right one"]]);
  });
}

Deno.test("connection ids are unique UUIDs of the server", async () => {
  await using server = await offline({});
  const ids = new Set<string>();
  for (let i = 0; i < 100; i++) ids.add((await server.connect(plain)).conn.id);
  assert.equal(ids.size, 100);
  for (const id of ids) assert.match(id, /^[0-9a-f-]{36}$/);
});

Deno.test("closeCode checks the code, and the length and form of the reason", () => {
  assert.deepEqual({ ...closeCode(4999, "x") }, { code: 4999, reason: "x" });
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 5000, 1.5, NaN]) {
    assert.throws(() => closeCode(code, ""), { code: "bad_close_code" }, String(code));
  }
  assert.throws(() => closeCode(4000, "ä".repeat(62)), /longer than 123 bytes/);
  assert.equal(closeCode(4000, "ä".repeat(61)).reason.length, 61);
  // Centrifuge's SDK would take them as instructions.
  for (const reason of ["42", "null", `"x"`, `{"reconnect":true}`]) {
    assert.throws(() => closeCode(4000, reason), { code: "bad_close_code" });
  }
});

Deno.test("an invalid close code still closes the connection", async () => {
  let conn: Connection;
  await using server = await serve({}, echo(), { name: "careless", open: (given) => void (conn = given) });
  await using client = await server.connect("/echo");
  conn!.close({ code: 4000, reason: "x".repeat(200) });
  await within("the close", client.closed);
  assert.equal(server.server.connections.size, 0);
});

Deno.test("a frame of 63 MiB closes its sender only", async () => {
  await using server = await serve({}, echo());
  await using bystander = await server.connect("/echo");
  using raw = await server.raw("/echo");
  await raw.frame(2, new Uint8Array(63 << 20));
  assert.equal(await raw.closeCode(), 1009);
  using beyond = await server.raw("/echo");
  // The runtime refuses a frame of more than 64 MiB by its header.
  await beyond.write(Uint8Array.of(0x82, 255, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0));
  await until("the end", () => server.server.connections.size === 1);
  bystander.send("hello");
  assert.equal(await bystander.next(), "hello");
});

Deno.test("unfinished handshakes and reset sockets leave no connection and no log", async () => {
  await using server = await serve({ maxConnections: 3 }, echo());
  const halves: RawClient[] = [];
  const { RawClient: Raw } = await import("../kit/mod.ts");
  for (let i = 0; i < 20; i++) {
    const raw = await Raw.connect(server.port);
    await raw.write(new TextEncoder().encode("GET /echo HTTP/1.1\r\nhost: test\r\nupgrade: webso"));
    halves.push(raw);
  }
  for (let i = 0; i < 10; i++) {
    const raw = await server.raw("/echo");
    raw[Symbol.dispose]();
    await until("its end", () => server.server.connections.size === 0);
  }
  // A client that shuts down its sending side has disconnected.
  using half = await server.raw("/echo");
  await half.tcp.closeWrite();
  await until("its end", () => server.server.connections.size === 0);
  await using client = await server.connect("/echo");
  client.send("hello");
  assert.equal(await client.next(), "hello");
  for (const raw of halves) raw[Symbol.dispose]();
  assert.deepEqual(server.log.take(), []);
});
