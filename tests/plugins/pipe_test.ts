import assert from "node:assert/strict";
import fc from "fast-check";
import { type AnyPlugin, type Connection, PlugboardError, type Upgrade } from "../../core/mod.ts";
import { type Paths, paths, type PathsOptions } from "../../plugins/paths.ts";
import {
  MessagePayload,
  pipe,
  type PipeOptions,
  type PipeServerClient,
  pipeSettings,
} from "../../plugins/protocols/pipe.ts";
import { confirmedConnections } from "./paths/connected.ts";
import { Client, FakeClock, RawClient, serve, until } from "../kit/mod.ts";

/** A server with paths and the pipe format on /ws. */
async function pipeServer(
  { clock, ...rest }: Omit<PipeOptions, "paths"> & { paths?: PathsOptions; clock?: FakeClock } = {},
) {
  const tenants = paths(rest.paths);
  const protocol = pipe({ ...rest, paths: tenants.api });
  const { plugin, wrap } = confirmedConnections();
  const server = await serve({ ...(clock && { clock }) }, plugin, tenants, protocol);
  return { ...server, connect: wrap(server), paths: tenants.api, pipe: protocol.api };
}

const errorOf = async (client: Client) => {
  const { clientId, requestId, messageType, body } = MessagePayload.parse(await client.nextText());
  assert.deepEqual([clientId, messageType], ["S", "error"]);
  return { requestId, code: JSON.parse(body).code };
};

/** The status with which an upgrade is answered. */
async function statusOf(port: number, target: string): Promise<number> {
  using client = await RawClient.connect(port);
  return Number((await client.request(target)).split(" ")[1]);
}

async function idOf(client: Client, other: Client): Promise<string> {
  client.send("|hello|hello|");
  return MessagePayload.parse(await other.nextText()).clientId;
}

Deno.test("T01 each path is a separate tenant, also a nested one; no message crosses paths", async () => {
  await using server = await pipeServer({ path: "/tenants" });
  const names = ["a", "a/b", "a%20b", "b", "A"];
  const pairs = await Promise.all(names.map(async (name) => ({
    name,
    sender: await server.connect(`/tenants/${name}`),
    receiver: await server.connect(`/tenants/${name}`),
  })));
  assert.deepEqual(server.paths.getPathIds().sort(), ["A", "a", "a b", "a/b", "b"]);
  for (const { name, sender } of pairs) sender.send(`|1|said|on ${name}`);
  for (const { name, sender, receiver } of pairs) {
    assert.match(await receiver.nextText(), new RegExp(`^[^|]+\\|1\\|said\\|on ${name}$`));
    sender.send("S|2|ask|");
    assert.equal((await errorOf(sender)).code, "no_server");
    assert.equal(receiver.waiting + sender.waiting, 0);
  }
  for (const { sender, receiver } of pairs) await Promise.all([sender.close(), receiver.close()]);
});

Deno.test("T01 hostile paths are refused with a reason", async () => {
  await using server = await pipeServer();
  const targets = ["/ws", "/ws/", "/ws/..", "/ws/a/../b", "/ws/%2e%2e/b", "/ws//a", "/ws/a%2Fb", "/ws/a%00"];
  for (const target of [...targets, `/ws/${"x".repeat(1025)}`]) {
    assert.equal(await statusOf(server.port, target), 400, target);
  }
  const response = await fetch(`${server.url}/ws/a%2Fb`, { headers: { upgrade: "websocket" } });
  assert.deepEqual(await response.json(), {
    error: { code: "bad_path", message: "The path has an encoded slash" },
  });
  assert.deepEqual(server.paths.getPathIds(), []);
});

Deno.test("T02 routes by the first field: all others, the server, or one client", async () => {
  const received: string[] = [];
  await using server = await pipeServer({
    createServerClient: (side) => ({
      message(from, { requestId, messageType, body }) {
        received.push(`${messageType}:${body}`);
        if (messageType === "query") side.send(from, MessagePayload.toServer(requestId, "response", "42"));
      },
    }),
  });
  await using a = await server.connect("/ws/room");
  await using b = await server.connect("/ws/room");
  await using c = await server.connect("/ws/room");
  await using elsewhere = await server.connect("/ws/elsewhere");
  const idA = await idOf(a, b);
  await c.nextText();

  b.send(`${idA}|r1|direct|for you | alone`);
  const direct = MessagePayload.parse(await a.nextText());
  assert.equal(direct.body, "for you | alone");
  c.send(`${direct.clientId}|r2|direct|hi`);
  assert.equal((await b.nextText()).split("|").slice(1).join("|"), "r2|direct|hi");

  a.send("S|r3|query|everything");
  assert.equal(await a.nextText(), "S|r3|response|42");
  assert.deepEqual(received, ["hello:", "query:everything"]);

  elsewhere.send(`${idA}|r4|direct|across`);
  assert.deepEqual(await errorOf(elsewhere), { requestId: "r4", code: "unknown_client" });
  a.send("nobody|r5|direct|?");
  assert.deepEqual(await errorOf(a), { requestId: "r5", code: "unknown_client" });
  assert.equal(a.waiting + b.waiting + c.waiting, 0);
});

Deno.test("T03 holds messages for the server client, in order and up to a limit, until it has started", async () => {
  const started = Promise.withResolvers<void>();
  const received: string[] = [];
  await using server = await pipeServer({
    paths: { maxHeldMessages: 5 },
    createServerClient: () => ({
      start: () => started.promise,
      message: (_from, { body }) => void received.push(body),
    }),
  });
  await using a = await server.connect("/ws/room");
  await using b = await server.connect("/ws/room");
  assert.equal(server.paths.getState("room"), "configured");
  for (let i = 1; i <= 3; i++) a.send(`S|${i}|count|${i}`);
  a.send("|4|count|4");
  assert.match(await b.nextText(), /\|4\|count\|4$/); // other clients do not wait
  a.send("S|5|count|5");
  a.send("S|6|count|6");
  assert.deepEqual(await errorOf(a), { requestId: "6", code: "overflow" });
  assert.deepEqual(received, []);
  assert.equal(server.paths.getStats().held, 5);
  started.resolve();
  await until("the held messages to be handled", () => received.length === 5);
  assert.deepEqual(received, ["1", "2", "3", "4", "5"]);
  a.send("S|7|count|7");
  await until("the next message", () => received.length === 6);
  assert.equal(server.paths.getStats().held, 0);
});

Deno.test("T04 keeps messages for a client that is away, and delivers them in order when it returns", async () => {
  const clock = new FakeClock();
  await using server = await pipeServer({ clock, paths: { mail: { maxMessages: 3, maxBytes: 100 } } });
  await using sender = await server.connect("/ws/room");
  const first = await server.connect("/ws/room?clientId=new");
  const welcome = MessagePayload.parse(await first.nextText());
  assert.equal(welcome.messageType, "welcome");
  const { clientId, clientToken } = JSON.parse(welcome.body);
  await first.close();
  await until("the clients to leave", () => server.paths.getClientIds("room").length === 1);

  for (const body of ["one", "two", "three"]) sender.send(`${clientId}|1|note|${body}`);
  sender.send(`${clientId}|2|note|four`);
  assert.deepEqual(await errorOf(sender), { requestId: "2", code: "mailbox_full" });
  assert.equal(server.paths.getStats().kept, 3);

  const wrong = [
    `clientToken=${clientToken.slice(1)}`,
    "clientToken=",
    `clientToken=${clientToken.startsWith("x") ? "y" : "x"}${clientToken.slice(1)}`,
  ];
  for (const token of wrong) {
    assert.equal(await statusOf(server.port, `/ws/room?clientId=${clientId}&${token}`), 401);
  }
  assert.equal(await statusOf(server.port, `/ws/other?clientId=${clientId}&clientToken=${clientToken}`), 401);

  const address = `/ws/room?clientId=${clientId}&clientToken=${clientToken}`;
  await using again = await server.connect(address);
  for (const body of ["one", "two", "three"]) assert.match(await again.nextText(), new RegExp(`${body}$`));
  sender.send(`${clientId}|3|note|live`);
  assert.match(await again.nextText(), /live$/);
  assert.equal(server.paths.getStats().kept, 0);

  // A second connection of the same client replaces the first, without an event.
  await using newer = await server.connect(address);
  assert.equal((await again.closed).code, 4509);
  assert.equal(server.paths.getClientIds("room").filter((id) => id === clientId).length, 1);

  await newer.close();
  await until("the clients to leave", () => server.paths.getClientIds("room").length === 1);
  sender.send(`${clientId}|4|note|too late`);
  await until("the message to be kept", () => server.paths.getStats().kept === 1);
  clock.advance(3_600_001);
  assert.equal(server.paths.getStats().kept, 0);
  sender.send(`${clientId}|5|note|nobody`);
  assert.deepEqual(await errorOf(sender), { requestId: "5", code: "unknown_client" });
});

Deno.test("T04 a client without a token gets a new id, and no messages are kept for it", async () => {
  await using server = await pipeServer();
  await using a = await server.connect("/ws/room");
  const b = await server.connect("/ws/room");
  const id = await idOf(b, a);
  await b.close();
  await until("the clients to leave", () => server.paths.getClientIds("room").length === 1);
  a.send(`${id}|1|note|?`);
  assert.equal((await errorOf(a)).code, "unknown_client");
});

Deno.test("T05 builds, serializes and parses messages; the body may contain pipes", async () => {
  assert.equal(MessagePayload.broadcast("req123", "update", "{data}").serialize(), "|req123|update|{data}");
  assert.equal(MessagePayload.toServer("req123", "query", "{query}").serialize(), "S|req123|query|{query}");
  const toClient = MessagePayload.toClient("client123", "req123", "response", "{data}");
  assert.equal(toClient.serialize(), "client123|req123|response|{data}");
  for (const text of ["", "a", "a|b|c", "||"]) {
    assert.throws(() => MessagePayload.parse(text), (error) => {
      return error instanceof PlugboardError && error.code === "bad_payload";
    });
    assert.equal(MessagePayload.tryParse(text).error?.code, "bad_payload");
  }
  assert.throws(() => MessagePayload.toClient("a|b", "", "", ""), PlugboardError);

  await using server = await pipeServer();
  await using a = await server.connect("/ws/room");
  await using b = await server.connect("/ws/room");
  a.send("||table|| a | b |\n|| c || d ||");
  assert.equal(MessagePayload.parse(await b.nextText()).body, "| a | b |\n|| c || d ||");
  a.send("no pipes at all");
  assert.deepEqual(await errorOf(a), { requestId: "", code: "bad_payload" });
});

Deno.test("T05 parsing a serialized message returns the same message", () => {
  const field = fc.string({ unit: "binary" }).filter((text) => !text.includes("|"));
  fc.assert(fc.property(field, field, field, fc.string({ unit: "binary" }), (to, request, type, body) => {
    const { clientId, requestId, messageType, body: parsed } = MessagePayload.parse(
      MessagePayload.toClient(to, request, type, body).serialize(),
    );
    assert.deepEqual([clientId, requestId, messageType, parsed], [to, request, type, body]);
  }));
});

Deno.test("T06 a path's server client is created by a callback, started, flushed and stopped", async () => {
  for (const async of [false, true]) {
    const steps: string[] = [];
    await using server = await pipeServer({
      createServerClient(side) {
        const client = {
          start: () => void steps.push("start"),
          message() {},
          flush: () => void steps.push("flush"),
          stop: () => void steps.push("stop"),
        };
        steps.push(`make ${side.path}`);
        return async ? Promise.resolve(client) : client;
      },
    });
    const states: string[] = [];
    server.paths.on("state", ({ state }) => states.push(state));
    const a = await server.connect("/ws/room");
    const b = await server.connect("/ws/room");
    await a.close();
    assert.equal(server.paths.getState("room"), "ready");
    await b.close();
    await until("the path to be removed", () => server.paths.getPathIds().length === 0);
    assert.deepEqual(steps, ["make room", "start", "flush", "stop"]);
    assert.deepEqual(states, ["starting", "configured", "ready", "stopping"]);
  }
});

Deno.test("T06 a client that connects while a path stops waits until the path has restarted", async () => {
  const stopping = Promise.withResolvers<void>();
  const received: string[] = [];
  let made = 0;
  await using server = await pipeServer({
    createServerClient() {
      const number = ++made;
      return {
        message: (_from, { body }) => void received.push(`${number}: ${body}`),
        stop: () => number === 1 ? stopping.promise : undefined,
      };
    },
  });
  const a = await server.connect("/ws/room");
  await a.close();
  await until("the stop", () => server.paths.getState("room") === "stopping");
  await using b = await server.connect("/ws/room");
  b.send("S|1|note|hello");
  await until("the message to be held", () => server.paths.getStats().held === 1);
  assert.equal(made, 1);
  stopping.resolve();
  await until("the message to be handled", () => received.length === 1);
  assert.deepEqual(received, ["2: hello"]);
});

Deno.test("T06 a failed start of a server client is logged and retried; then it receives messages", async () => {
  const clock = new FakeClock();
  const received: string[] = [];
  let tries = 0;
  let stops = 0;
  await using server = await pipeServer({
    clock,
    createServerClient: () => ({
      async start() {
        await Promise.resolve();
        if (++tries < 3) throw new Error("disk on fire");
      },
      message: (_from, { body }) => void received.push(body),
      stop: () => void stops++,
    }),
  });
  await using a = await server.connect("/ws/room");
  await until("the failure", () => server.paths.getState("room") === "failed");
  const { message, fields } = await server.log.next();
  assert.equal(message, "a path's server client could not be started");
  assert.match(String(fields.error), /disk on fire/);
  a.send("S|1|note|hello");
  assert.deepEqual(await errorOf(a), { requestId: "1", code: "server_failed" });
  clock.advance(1_000);
  await until("the second failure", () => tries === 2 && server.paths.getState("room") === "failed");
  clock.advance(1_999);
  assert.equal(tries, 2);
  clock.advance(1);
  await until("the success", () => server.paths.getState("room") === "ready");
  assert.equal(stops, 2);
  a.send("S|2|note|again");
  await until("the message", () => received.length === 1);
  server.log.take();
});

// A late first client used to unset its successor, which then received no messages.
Deno.test("T06 a server client that is created after its timeout is stopped, without effect on the next one", async () => {
  const clock = new FakeClock();
  const late = Promise.withResolvers<PipeServerClient>();
  const received: string[] = [];
  let created = 0;
  let stopped = false;
  await using server = await pipeServer({
    clock,
    createServerClient: () =>
      ++created === 1 ? late.promise : { message: (_from, { body }) => void received.push(body) },
  });
  await using a = await server.connect("/ws/room");
  clock.advance(30_000);
  await until("the timeout", () => server.paths.getState("room") === "failed");
  clock.advance(1_000);
  await until("the second client", () => server.paths.getState("room") === "ready");
  late.resolve({ message() {}, stop: () => void (stopped = true) });
  await until("the first client to stop", () => stopped);
  a.send("S|1|note|hello");
  await until("the message", () => received.length === 1);
  server.log.take();
});

Deno.test("T07 events reach removable listeners, for all paths or one; a listener that throws does not affect others", async () => {
  const tenants = paths();
  const events: string[] = [];
  const remove = [
    tenants.api.on("started", () => void events.push("started")),
    tenants.api.on("stopped", () => void events.push("stopped")),
    tenants.api.on("pathAdded", ({ path }) => void events.push(`+${path}`)),
    tenants.api.on("pathRemoved", ({ path }) => void events.push(`-${path}`)),
    tenants.api.on("clientJoined", () => {
      throw new Error("a bad listener");
    }),
    tenants.api.on("clientJoined", ({ path }) => void events.push(`${path} joined`)),
    tenants.api.on("clientLeft", ({ path }) => void events.push(`${path} left`), "a"),
    tenants.api.on("message", ({ path, to, payload }) => void events.push(`${path}: ${to} ${payload}`)),
  ];
  const server = await serve({}, tenants, pipe({ paths: tenants.api }));
  const a = await server.connect("/ws/a");
  const b = await server.connect("/ws/b");
  a.send("x|1|t|body");
  await a.nextText();
  await b.close();
  await a.close();
  await until("both to be removed", () => events.includes("-a") && events.includes("-b"));
  assert.deepEqual(events.filter((line) => !line.startsWith("-")), [
    "started",
    "+a",
    "a joined",
    "+b",
    "b joined",
    "a: x 1|t|body",
    "a left",
  ]);
  for (const one of remove.slice(2)) one();
  const again = await server.connect("/ws/a");
  await again.close();
  const before = events.length;
  await server.server.stop();
  assert.deepEqual(events.slice(before), ["stopped"]);
  const logged = server.log.take();
  assert.equal(logged.length, 2);
  assert.ok(logged.every(({ message }) => message === "a listener failed"));
});

Deno.test("T08 statistics are correct while clients connect and disconnect", async () => {
  await using server = await pipeServer();
  const clients: { path: string; client: Client }[] = [];
  let joined = 0;
  server.paths.on("clientJoined", () => void joined++);
  server.paths.on("clientLeft", () => void joined--);
  for (let round = 0; round < 6; round++) {
    await Promise.all(Array.from({ length: 12 }, async (_, i) => {
      const path = `p${(i + round) % 5}`;
      clients.push({ path, client: await server.connect(`/ws/${path}`) });
    }));
    const gone = clients.splice(0, round % 2 === 0 ? 5 : 13);
    await Promise.all(gone.map(({ client }) => client.close()));
    await until("the clients to leave", () => server.paths.getStats().clients === clients.length);
    const expected = new Map<string, number>();
    for (const { path } of clients) expected.set(path, (expected.get(path) ?? 0) + 1);
    await until("the paths to be removed", () => server.paths.getStats().paths === expected.size);
    assert.deepEqual(server.paths.getPathIds().sort(), [...expected.keys()].sort());
    for (const [path, count] of expected) assert.equal(server.paths.getClientIds(path).length, count);
    assert.equal(joined, clients.length);
  }
  await Promise.all(clients.map(({ client }) => client.close()));
  await until("all to be removed", () => server.paths.getStats().paths === 0);
  assert.deepEqual(server.paths.getClientIds("p0"), []);
  const { clients: none, held, kept } = server.paths.getStats();
  assert.deepEqual([none, held, kept], [0, 0, 0]);
});

Deno.test("T09 the server sends to one client, to a path, and accepts a socket of another HTTP server", async () => {
  await using server = await pipeServer();
  const accepting = Promise.withResolvers<void>();
  const elsewhere = Deno.serve({ port: 0, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () =>
      server.server.accept(socket, "/ws/room").then(() => accepting.resolve(), accepting.reject);
    return response;
  });
  await using a = await server.connect("/ws/room");
  const accepted = await Client.connect(`ws://127.0.0.1:${elsewhere.addr.port}/any`);
  await accepting.promise;
  const [, id] = server.paths.getClientIds("room");

  const note = MessagePayload.broadcast("", "note", "to all");
  assert.equal(server.pipe.broadcast("room", note), 2);
  assert.equal(await a.nextText(), "S||note|to all");
  assert.equal(await accepted.nextText(), "S||note|to all");
  assert.equal(
    server.pipe.sendToClient("room", id!, MessagePayload.toServer("", "note", "to one")),
    "delivered",
  );
  assert.equal(await accepted.nextText(), "S||note|to one");
  assert.equal(server.pipe.sendToClient("room", "nobody", note), "unknown_client");
  assert.equal(server.pipe.broadcast("nowhere", note), 0);
  accepted.send("|1|said|from elsewhere");
  assert.match(await a.nextText(), /from elsewhere$/);
  await accepted.close();
  await elsewhere.shutdown();
});

Deno.test("T10 settings have defaults and are read from the environment", async () => {
  assert.deepEqual(pipeSettings({}), {
    port: 5000,
    maxMessageBytes: 64 * 1024,
    operationTimeoutMs: 30_000,
    maxConnectionsPerPath: 100,
    autoCleanup: true,
    path: "/ws",
  });
  const settings = pipeSettings({
    PORT: "0",
    MAX_MESSAGE_SIZE: "100",
    OPERATION_TIMEOUT_SECONDS: "2",
    MAX_CONNECTIONS_PER_PATH: "2",
    ENABLE_AUTO_CLEANUP: "false",
    WEBSOCKET_PATH: "/stores",
  });
  const bad = [
    { PORT: "http" },
    { PORT: "70000" },
    { MAX_MESSAGE_SIZE: "0" },
    { OPERATION_TIMEOUT_SECONDS: "-1" },
    { MAX_CONNECTIONS_PER_PATH: "1.5" },
    { ENABLE_AUTO_CLEANUP: "maybe" },
    { WEBSOCKET_PATH: "ws" },
  ];
  for (const env of bad) {
    assert.throws(() => pipeSettings(env), new RegExp(`^PlugboardError: ${Object.keys(env)[0]} must`));
  }

  const clock = new FakeClock();
  const { port: _, path, maxMessageBytes, ...limits } = settings;
  await using server = await pipeServer({
    clock,
    path,
    maxMessageBytes,
    paths: limits,
    createServerClient: (side) => side.path === "slow" ? new Promise(() => {}) : undefined,
  });
  const a = await server.connect("/stores/room");
  a.send(`|1|t|${"x".repeat(96)}`);
  assert.equal((await a.closed).code, 1009);
  await until("the clients to leave", () => server.paths.getStats().clients === 0);
  assert.deepEqual(server.paths.getPathIds(), ["room"]); // not removed

  await using _slow = await server.connect("/stores/slow");
  clock.advance(1_999);
  assert.equal(server.paths.getState("slow"), "starting");
  clock.advance(1);
  await until("the timeout", () => server.paths.getState("slow") === "failed");
  const { error } = (await server.log.next()).fields;
  assert.ok(error instanceof PlugboardError && error.code === "timeout");
});

Deno.test("T10 accepts messages of up to 64 KiB by default", async () => {
  await using server = await pipeServer();
  await using a = await server.connect("/ws/room");
  await using b = await server.connect("/ws/room");
  a.send(`|1|t|${"x".repeat(65_536 - 5)}`);
  assert.equal(MessagePayload.parse(await b.nextText()).body.length, 65_531);
  a.send(`|1|t|${"x".repeat(65_536 - 4)}`);
  assert.equal((await a.closed).code, 1009);
  assert.equal(b.waiting, 0);
});

Deno.test("T12 a token is checked before the upgrade: 401 without one, 403 for another user's path", async () => {
  const allow: PathsOptions["allow"] = async (upgrade, path) => {
    await Promise.resolve();
    const token = new URL(upgrade.url).searchParams.get("token");
    if (token !== "ann" && token !== "guest") return Response.json({ error: "who?" }, { status: 401 });
    if (path.split("/")[0] !== "ann") return Response.json({ error: "not yours" }, { status: 403 });
    return token === "ann" ? "write" : "read";
  };
  await using server = await pipeServer({
    paths: { allow },
    createServerClient: (side) => ({
      message(from, { requestId, messageType, body }) {
        if (messageType === "query") side.send(from, MessagePayload.toServer(requestId, "response", body));
      },
    }),
  });
  assert.equal(await statusOf(server.port, "/ws/ann/notes"), 401);
  assert.equal(await statusOf(server.port, "/ws/ann/notes?token=forged"), 401);
  assert.equal(await statusOf(server.port, "/ws/bob/notes?token=ann"), 403);
  await using ann = await server.connect("/ws/ann/notes?token=ann");
  await using guest = await server.connect("/ws/ann/notes?token=guest");
  ann.send("|1|said|hello");
  assert.match(await guest.nextText(), /hello$/);
  guest.send("|2|said|graffiti");
  assert.deepEqual(await errorOf(guest), { requestId: "2", code: "read_only" });
  guest.send("S|3|query|may I read?");
  assert.equal(await guest.nextText(), "S|3|response|may I read?");
  assert.equal(ann.waiting, 0);
});

Deno.test("T13 a connection beyond the path's limit is refused with a reason", async () => {
  await using server = await pipeServer({
    paths: { maxConnectionsPerPath: 2, maxPaths: 2, maxPathsPerClient: 2 },
  });
  await using _a = await server.connect("/ws/room");
  const b = await server.connect("/ws/room");
  const refused = await fetch(`${server.url}/ws/room`, { headers: { upgrade: "websocket" } });
  assert.equal(refused.status, 503);
  assert.deepEqual(await refused.json(), {
    error: { code: "path_full", message: "too many clients on this path" },
  });
  await using _other = await server.connect("/ws/other");
  assert.equal(await statusOf(server.port, "/ws/third"), 503);
  await b.close();
  await until("the clients to leave", () => server.paths.getClientIds("room").length === 1);
  await using _c = await server.connect("/ws/room");
});

Deno.test("one user or address cannot open all paths, and paths are given back", async () => {
  const identityOf = (who: Connection | Upgrade) => {
    const user = "headers" in who ? who.headers.get("x-user") : users.get(who.id);
    return user ? { user, can: () => true } : undefined;
  };
  const users = new Map<string, string>();
  const tenants = paths({ maxPaths: 8, identityOf }); // two for each
  const remember: AnyPlugin = {
    name: "remember",
    open: (conn, { headers }) => void users.set(conn.id, headers.get("x-user") ?? ""),
  };
  await using server = await serve({}, remember, tenants, pipe({ paths: tenants.api }));
  const join = (path: string, user?: string) =>
    server.connect(`/ws/${path}`, [], user ? { "x-user": user } : {});
  const first = await join("1", "eve");
  await using _second = await join("2", "eve");
  await assert.rejects(join("3", "eve"));
  await using _shared = await join("2", "eve");
  await using _ann = await join("3", "ann");
  await using _joined = await join("3", "eve");
  await using _address = await join("4");
  await first.close();
  await until("the path to end", () => !tenants.api.getPathIds().includes("1"));
  await using _third = await join("5", "eve");
  await assert.rejects(join("6", "eve"));
});

Deno.test("T13 a client that stops responding is removed", async () => {
  const tenants = paths();
  await using server = await serve(
    { pingIntervalMs: 500, pongTimeoutMs: 100 },
    tenants,
    pipe({ paths: tenants.api }),
  );
  using _silent = await server.raw("/ws/room"); // never answers a ping
  assert.equal(tenants.api.getStats().clients, 1);
  await until("the removal", () => tenants.api.getStats().paths === 0);
});

Deno.test("paths belong to one protocol", async () => {
  const tenants = paths();
  await assert.rejects(
    serve({}, tenants, pipe({ paths: tenants.api, path: "/a" }), pipe({ paths: tenants.api, path: "/b" })),
    /belong to another protocol/,
  );
});

Deno.test("invalid options are refused by name", () => {
  assert.throws(
    () => paths({ maxConnectionsPerPath: 0 }),
    /"maxConnectionsPerPath" must be a positive integer, got 0/,
  );
  assert.throws(() => paths({ mail: { maxAgeMs: -1 } }), /"maxAgeMs"/);
  assert.throws(
    () => pipe({ paths: {} as Paths, path: "ws" }),
    /"path" must be a path that begins with a slash/,
  );
});
