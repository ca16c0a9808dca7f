import assert from "node:assert/strict";
import type { AnyPlugin, Endpoint, Framing } from "../../core/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { type Client, RawClient, serve, until, within } from "../kit/mod.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** An endpoint that accepts one kind of frames, and does nothing. */
function accepting(accepts: "text" | "binary" | "any", extra: object = {}): Endpoint {
  const framing: Framing = { accepts, format: Symbol(accepts) };
  return {
    name: accepts,
    path: `/${accepts}`,
    framing: () => framing,
    open: () => ({ message() {} }),
    ...extra,
  } as Endpoint;
}

async function refused(response: Response, status: number, code: string): Promise<void> {
  assert.equal(response.status, status);
  assert.match(response.headers.get("content-type")!, /^application\/json/);
  const { error } = await response.json();
  assert.equal(error.code, code);
  assert.equal(typeof error.message, "string");
}

/** Returns the head of the answer to an upgrade request. */
async function upgrade(port: number, path: string, headers: Record<string, string> = {}): Promise<string> {
  using raw = await RawClient.connect(port);
  return await raw.request(path, headers);
}

Deno.test("a plain request gets 426 at an endpoint and 404 at an unknown path, in JSON", async () => {
  await using server = await serve({}, echo());
  const plain = await server.fetch("/echo");
  assert.equal(plain.headers.get("upgrade"), "websocket");
  await refused(plain, 426, "upgrade_required");
  await refused(await server.fetch("/nowhere"), 404, "not_found");
  assert.match(await upgrade(server.port, "/nowhere"), /^HTTP\/1.1 404/);
});

Deno.test("a wrong method gets 405 with the methods of the path, and an unknown path 404", async () => {
  const page: AnyPlugin = {
    name: "page",
    routes(app) {
      app.use(async (_, next) => await next());
      app.use("/guarded/*", async (c, next) => {
        if (c.req.query("key") !== "x") return c.text("who are you?", 401);
        await next();
      });
      app.get("/page", (c) => c.text("a page"));
      app.post("/page", (c) => c.text("posted"));
      app.put("/guarded/page/:id", (c) => c.req.param("id") === "1" ? c.text("put") : c.notFound());
      app.all("/any", (c) => c.text(c.req.method));
    },
  };
  await using server = await serve({}, page, echo());
  const ask = async (method: string, path: string) => {
    const response = await server.fetch(path, { method });
    const text = await response.text();
    if (response.ok || response.status === 401) return [response.status, text];
    return [response.status, response.headers.get("allow") ?? JSON.parse(text).error.code];
  };
  for (const method of ["DELETE", "OPTIONS", "SOCKET", "FOO"]) {
    assert.deepEqual(await ask(method, "/page?x=1"), [405, "GET, POST, HEAD"], method);
    // The method under which WebSocket requests are routed does not reach an endpoint.
    assert.deepEqual(await ask(method, "/echo"), [405, "GET, HEAD"], method);
    assert.deepEqual(await ask(method, "/nowhere"), [404, "not_found"], method);
    assert.deepEqual(await ask(method, "/any"), [200, method], method);
  }
  assert.deepEqual(await ask("GET", "/guarded/page/1?key=x"), [405, "PUT"]);
  assert.deepEqual(await ask("PUT", "/guarded/page/1?key=x"), [200, "put"]);
  assert.deepEqual(await ask("PUT", "/guarded/page/2?key=x"), [404, "not_found"]);
  assert.deepEqual(await ask("GET", "/guarded/page/1"), [401, "who are you?"]);
  assert.deepEqual(server.log.take(), []);
});

Deno.test("an invalid handshake gets 400 and takes no place", async () => {
  await using server = await serve({ maxConnections: 1 }, echo());
  for (const headers of [{ "sec-websocket-key": "" }, { connection: "close" }]) {
    using raw = await RawClient.connect(server.port);
    const lines = Object.entries({ host: "test", upgrade: "websocket", ...headers })
      .filter(([, value]) => value !== "").map(([name, value]) => `${name}: ${value}\r\n`);
    await raw.write(bytes(`GET /echo HTTP/1.1\r\n${lines.join("")}\r\n`));
    assert.match(new TextDecoder().decode((await raw.read())!), /^HTTP\/1.1 400[^]*bad_handshake/);
  }
  await using client = await server.connect("/echo");
  client.send("hello");
  assert.equal(await client.next(), "hello");
});

Deno.test("an invalid host gets 400 and no log", async () => {
  await using server = await serve({}, echo());
  assert.match(await upgrade(server.port, "/echo", { host: "a b[" }), /^HTTP\/1.1 400/);
  assert.equal(server.log.size, 0);
});

for (const limit of ["maxConnections", "maxConnectionsPerIp"] as const) {
  Deno.test(`${limit}: one connection too many gets 503 with Retry-After, until another leaves`, async () => {
    await using server = await serve({ [limit]: 2 }, echo());
    await using _first = await server.connect("/echo");
    const second = await server.connect("/echo");
    const head = await upgrade(server.port, "/echo");
    assert.match(head, /^HTTP\/1.1 503/);
    assert.match(head, /retry-after: \d+/i);
    // The limit is for connections only.
    assert.equal(
      (await server.fetch("/echo").then((response) => response.json())).error.code,
      "upgrade_required",
    );
    await second.close();
    await until("a free place", () => server.server.connections.size === 1);
    await using third = await server.connect("/echo");
    third.send("hello");
    assert.equal(await third.next(), "hello");
  });
}

Deno.test("the limit per address counts each address by itself", async () => {
  const clientIp = (request: Request) => request.headers.get("x-test-ip") ?? "none";
  await using server = await serve({ maxConnectionsPerIp: 1, clientIp }, echo());
  await using _one = await server.connect("/echo", [], { "x-test-ip": "1.1.1.1" });
  await using _two = await server.connect("/echo", [], { "x-test-ip": "2.2.2.2" });
  assert.match(await upgrade(server.port, "/echo", { "x-test-ip": "1.1.1.1" }), /^HTTP\/1.1 503/);
});

Deno.test("a message over the limit closes with 1009, and one at the limit does not", async () => {
  await using server = await serve({ maxMessageBytes: 100 }, {
    name: "test",
    endpoints: [
      accepting("any"),
      { ...accepting("any", { maxMessageBytes: 10 }), path: "/small" } as Endpoint,
    ],
  });
  const ends = async (path: string, message: string | Uint8Array<ArrayBuffer>) => {
    await using client = await server.connect(path);
    client.send(message);
    return (await within("the close", client.closed)).code;
  };
  assert.equal(await ends("/any", "x".repeat(101)), 1009);
  assert.equal(await ends("/any", new Uint8Array(101)), 1009);
  assert.equal(await ends("/small", "x".repeat(11)), 1009);
  // Bytes count, not characters.
  assert.equal(await ends("/any", "ä".repeat(51)), 1009);
  await using client = await server.connect("/any");
  for (const message of ["x".repeat(100), "ä".repeat(50), new Uint8Array(100)]) client.send(message);
  await assertAlive(client);
});

Deno.test("a client that keeps sending receives the close code, and is dropped if it does not stop", async () => {
  await using server = await serve({}, { name: "test", endpoints: [accepting("text")] });
  using talkative = await server.raw("/text");
  await talkative.frame(2, "one of the wrong kind");
  // More than one read: a socket that is dropped with unread data does not send the close frame.
  for (let i = 0; i < 500; i++) await talkative.frame(1, "x".repeat(10_000));
  assert.equal(await talkative.closeCode(), 1003);
  using rude = await server.raw("/text");
  await rude.frame(2, "one of the wrong kind");
  await assert.rejects(async () => {
    for (const end = Date.now() + 30_000; Date.now() < end;) await rude.frame(1, "and more");
  }, "it was not dropped within 30 s");
});

Deno.test("a frame of the wrong kind closes with 1003", async () => {
  await using server = await serve({}, {
    name: "test",
    endpoints: [accepting("text"), accepting("binary"), accepting("any")],
  });
  for (const [path, message] of [["/text", bytes("hello")], ["/binary", "hello"]] as const) {
    await using client = await server.connect(path);
    client.send(message);
    assert.equal((await within("the close", client.closed)).code, 1003);
  }
  await using client = await server.connect("/any");
  client.send("hello");
  client.send(bytes("hello"));
  await assertAlive(client);
});

// The runtime drops such sockets without a close code.
for (
  const [what, opcode, payload] of [
    ["text that is not UTF-8", 1, Uint8Array.of(0xff, 0xfe)],
    ["an opcode that does not exist", 3, bytes("hello")],
    ["a ping that is too long", 9, new Uint8Array(200)],
    ["a continuation without a start", 0, bytes("hello")],
  ] as const
) {
  Deno.test(`${what} ends only that connection`, async () => {
    await using server = await serve({}, echo());
    await using bystander = await server.connect("/echo");
    using raw = await server.raw("/echo");
    await until("both", () => server.server.connections.size === 2);
    await raw.frame(opcode, payload);
    await until("the end", () => server.server.connections.size === 1);
    bystander.send("hello");
    assert.equal(await bystander.next(), "hello");
    assert.deepEqual(server.log.take(), []);
  });
}

Deno.test("fragments are joined, even around a ping", async () => {
  await using server = await serve({}, echo());
  using raw = await server.raw("/echo");
  await raw.frame(1, "hel", false);
  await raw.frame(9, "ping");
  await raw.frame(0, "lo ", false);
  await raw.frame(0, "there");
  assert.equal(new TextDecoder().decode(await raw.nextFrame(10)), "ping");
  assert.equal(new TextDecoder().decode(await raw.nextFrame(1)), "hello there");
});

Deno.test("the answer has the endpoint's best offered subprotocol, in any list format", async () => {
  await using server = await serve({}, {
    name: "test",
    endpoints: [accepting("any", { protocols: ["v2", "v1"] })],
  });
  const answer = async (offered: string) =>
    /sec-websocket-protocol: (\S+)/i.exec(
      await upgrade(server.port, "/any", { "sec-websocket-protocol": offered }),
    )?.[1];
  assert.deepEqual(
    await Promise.all(["v1", "v1, v2", "v1,v2", "v0 ,\tv1", "v0"].map(answer)),
    ["v1", "v2", "v2", "v1", undefined],
  );
  await using client = await server.connect("/any", ["v1", "v2"]);
  assert.equal(client.socket.protocol, "v2");
});

Deno.test("a subprotocol that a plugin chose is in the answer only if it was offered", async () => {
  await using server = await serve({}, echo(), {
    name: "chooser",
    upgrade: (upgrade) => void (upgrade.protocol = "mine"),
  });
  const offering = (offered: string) => upgrade(server.port, "/echo", { "sec-websocket-protocol": offered });
  assert.match(await offering("yours, mine"), /sec-websocket-protocol: mine/i);
  const other = await offering("yours");
  assert.match(other, /^HTTP\/1.1 101/);
  assert.doesNotMatch(other, /sec-websocket-protocol/i);
});

Deno.test("paths are matched as they were sent, not resolved", async () => {
  const seen: [string, Readonly<Record<string, string>>][] = [];
  await using server = await serve({}, {
    name: "test",
    endpoints: [{ ...accepting("any"), path: ["/tenant/*", "/chat/:room/:user"] } as Endpoint],
    upgrade: ({ url, params }) => void seen.push([new RegExp("^http://test(.*)").exec(url)![1]!, params]),
  });
  for (
    const path of [
      "/tenant/../secret",
      "/tenant/%2e%2e/x",
      "/tenant/a\\b",
      "/chat/caf%C3%A9/a%2Fb",
      "/chat/%zz/x",
    ]
  ) {
    assert.match(await upgrade(server.port, path), /^HTTP\/1.1 101/, path);
  }
  assert.deepEqual(seen, [
    ["/tenant/../secret", {}],
    ["/tenant/%2e%2e/x", {}],
    ["/tenant/a\\b", {}],
    ["/chat/caf%C3%A9/a%2Fb", { room: "café", user: "a/b" }],
    ["/chat/%zz/x", { room: "%zz", user: "x" }],
  ]);
});

Deno.test("a page and an endpoint can share a path, and middleware runs for both", async () => {
  const methods: string[] = [];
  await using server = await serve({}, {
    name: "page",
    routes(app) {
      app.use(async (c, next) => {
        methods.push(c.req.method);
        await next();
        c.header("access-control-allow-origin", "*");
      });
      app.get("/echo", (c) => c.text("a page"));
    },
  }, echo());
  const page = await server.fetch("/echo");
  assert.deepEqual([await page.text(), page.headers.get("access-control-allow-origin")], ["a page", "*"]);
  await using client = await server.connect("/echo");
  client.send("hello");
  assert.equal(await client.next(), "hello");
  assert.deepEqual(methods, ["GET", "SOCKET"]);
});

Deno.test("an address in use fails the start with one sentence, and stops the started plugins", async () => {
  await using taken = await serve({});
  let stopped = 0;
  await assert.rejects(serve({ port: taken.port }, { name: "other", stop: () => void stopped++ }), {
    code: "listen_failed",
    message:
      `Cannot listen on 127.0.0.1:${taken.port}: the address is in use; stop the program that uses it, or choose another port`,
  });
  assert.equal(stopped, 1);
});

/** Asserts that all earlier messages were accepted: only the one that is too large closes the connection. */
async function assertAlive(client: Client): Promise<void> {
  client.send("x".repeat(70_000));
  assert.equal((await within("the close", client.closed)).code, 1009);
}
