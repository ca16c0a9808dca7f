/** The chat over real sockets and requests: the paths, fields and statuses of the seed, and additions. */

import assert from "node:assert/strict";
import type { AnyPlugin, ServerOptions } from "../../core/mod.ts";
import { channels, memoryBroker } from "../../plugins/channels.ts";
import { auth, type AuthOptions } from "../../plugins/auth.ts";
import { chat, type ChatMessage, type ChatOptions, type ChatRoom } from "../../plugins/protocols/chat.ts";
import { rateLimits } from "../../plugins/rate_limits.ts";
import { trace, type TraceRecord } from "../../plugins/trace.ts";
import { channelProtocol } from "../kit/channel_protocol.ts";
import { anonymousIdentity } from "../../plugins/shared/identity.ts";
import { type Client, FakeClock, RawClient, serve, until, within } from "../kit/mod.ts";
import { Network, remoteBrokers } from "../kit/remote.ts";

async function chatServer(
  options: Partial<ChatOptions> = {},
  server: ServerOptions = {},
  broker = memoryBroker(),
  ...more: AnyPlugin[]
) {
  const bus = channels({ broker });
  const plugin = chat({ channels: bus.api, ...options });
  const tested = await serve(server, ...more, bus, plugin);
  const path = (room: string, name: string) => `/ws/${encodeURIComponent(room)}/${encodeURIComponent(name)}`;
  return Object.assign(tested, {
    bus: bus.api,
    chat: plugin.api,
    path,
    rooms: async (): Promise<ChatRoom[]> => await (await tested.fetch("/rooms")).json(),
    // deno-lint-ignore no-explicit-any -- the tests check the fields
    async post(body: unknown): Promise<{ status: number; headers: Headers; body: any }> {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const response = await tested.fetch("/rooms", { method: "POST", body: text });
      return { status: response.status, headers: response.headers, body: await response.json() };
    },
    // deno-lint-ignore no-explicit-any -- the tests check the fields
    async get(path: string): Promise<{ status: number; body: any }> {
      const response = await tested.fetch(path);
      return { status: response.status, body: await response.json() };
    },
    /** Connects without waiting for the welcome. */
    connectAs: (name: string, room = "general") => tested.connect(path(room, name)),
    /** Connects, and waits for the welcome. */
    async join(name: string, room = "general") {
      const client = await tested.connect(path(room, name));
      assert.equal((await next(client)).Type, "system");
      return client;
    },
  });
}

const next = async (client: Client): Promise<ChatMessage> => await client.nextJson();

/** Returns the type, the sender and the content of the next messages. */
async function received(client: Client, count: number): Promise<string[]> {
  const all = [];
  for (let i = 0; i < count; i++) {
    const { Type, Username, Content } = await next(client);
    all.push(`${Type} ${Username}: ${Content}`);
  }
  return all;
}

/** Checks that the clients get nothing before a message that all of them send now. */
async function nothingElse(...clients: Client[]): Promise<void> {
  for (const client of clients) client.send(`nothing else`);
  for (const client of clients) {
    for (const _ of clients.slice(1)) assert.equal((await next(client)).Content, "nothing else");
    assert.equal(client.waiting, 0);
  }
}

Deno.test("C01 the room general exists from the start", async () => {
  const before = Date.now();
  await using server = await chatServer();
  const [room, ...others] = await server.rooms();
  assert.deepEqual(others, []);
  const { createdAt, ...rest } = room!;
  assert.deepEqual(rest, { id: "general", name: "General Chat", activeUsers: 0 });
  assert.ok(Date.parse(createdAt) >= before && createdAt.endsWith("Z"));
  await using alice = await server.join("Alice");
  assert.equal(alice.waiting, 0);
});

Deno.test("the users of a room are listed, one name for each connection", async () => {
  await using server = await chatServer();
  await using _a = await server.join("Ann");
  await using _b = await server.join("Bob");
  await until("both to be there", async () => (await server.get("/rooms/general/users")).body.length === 2);
  assert.deepEqual((await server.get("/rooms/general/users")).body, ["Ann", "Bob"]);
  assert.equal((await server.get("/rooms/none/users")).status, 404);
});

Deno.test("C02 POST /rooms creates a room, GET /rooms lists it, and clients can enter it", async () => {
  await using server = await chatServer();
  const made = await server.post({ name: "Tech Talk" });
  assert.equal(made.status, 201);
  assert.deepEqual(Object.keys(made.body), ["id", "name", "createdAt", "activeUsers"]);
  assert.match(made.body.id, /^[0-9a-f]{8}$/);
  assert.deepEqual([made.body.name, made.body.activeUsers], ["Tech Talk", 0]);
  assert.equal(made.headers.get("location"), `/rooms/${made.body.id}`);
  assert.deepEqual(await server.get(`/rooms/${made.body.id}`), { status: 200, body: made.body });
  assert.deepEqual((await server.rooms()).map(({ name }) => name), ["General Chat", "Tech Talk"]);

  await using bob = await server.connectAs("Bob", made.body.id);
  assert.deepEqual(await received(bob, 1), ["system System: Welcome to Tech Talk, Bob!"]);
  assert.equal((await server.get(`/rooms/${made.body.id}`)).body.activeUsers, 1);
  assert.equal((await server.get("/rooms/none")).status, 404);
});

Deno.test("C02 an invalid room name is refused with 400 and the reasons", async () => {
  await using server = await chatServer();
  await server.post({ name: "Tech Talk" });
  const bad: [unknown, RegExp][] = [
    [{}, /^Room name is required$/],
    [{ name: "" }, /required/],
    [{ name: "  \n " }, /required/],
    [{ name: 5 }, /required/],
    [[], /required/],
    ["null", /required/],
    ["{", /required/],
    ["", /required/],
    [{ name: "x".repeat(3_000) }, /must not exceed 50/],
    [{ name: "ab" }, /at least 3 characters/],
    [{ name: "x".repeat(51) }, /must not exceed 50 characters/],
    [{ name: "tech talk" }, /already exists/],
    [{ name: " Ｔech Talk " }, /already exists/],
    [{ name: "General Chat" }, /already exists/],
    [{ name: "safe\u202Eexe" }, /invisible characters/],
    [{ name: "bell\u0007" }, /invisible characters/],
    [{ name: "zero\u200Bwidth" }, /invisible characters/],
    [{ name: "half \uD800" }, /invisible characters/],
  ];
  for (const [body, reason] of bad) {
    const { status, body: answer } = await server.post(body);
    assert.equal(status, 400, JSON.stringify(body));
    assert.match(answer.errors.join(), reason);
  }
  assert.equal((await server.post({ name: "x".repeat(10_000) })).status, 413);
  for (const name of ["Ünïcödé 😀", "شبكة", "<b>HTML</b>", "a & b"]) {
    assert.equal((await server.post({ name })).status, 201, name);
  }
});

Deno.test("C02 the number of rooms is limited, and so is who may create one", async () => {
  await using server = await chatServer({ maxRooms: 2, maxRoomsPerClient: 2, mayCreate: () => true });
  assert.equal((await server.post({ name: "One" })).status, 201);
  assert.equal((await server.post({ name: "Two" })).status, 409);
  await using closed = await chatServer({ mayCreate: (request) => request.headers.has("x-admin") });
  assert.equal((await closed.post({ name: "One" })).status, 403);
  await assert.rejects(closed.chat.createRoom("x"), { code: "bad_request" });
  assert.equal((await closed.chat.createRoom("By the app")).name, "By the app");
});

Deno.test("one user cannot create all rooms; the creator and admins delete them", async () => {
  const people: Record<string, string[]> = { Eve: ["*"], Ann: ["*"], Root: ["admin"] };
  const access = auth({
    signIn: ({ headers }) => {
      const user = headers.get("x-user");
      return user === null ? undefined : { user, permissions: people[user]! };
    },
  });
  const rooms = new Map<string, string>();
  const store = {
    load: () => rooms,
    set: (id: string, room: string) => void rooms.set(id, room),
    delete: (id: string) => void rooms.delete(id),
  };
  const options = { access: access.api, maxRooms: 8, store, history: {} };
  await using server = await chatServer(options, {}, undefined, access);
  const ask = async (method: string, path: string, user: string, name?: string) => {
    const init = { method, headers: { "x-user": user }, ...(name && { body: JSON.stringify({ name }) }) };
    const response = await server.fetch(path, init);
    const text = await response.text();
    return { status: response.status, id: text === "" ? "" : JSON.parse(text).id };
  };
  const [first] = [await ask("POST", "/rooms", "Eve", "One"), await ask("POST", "/rooms", "Eve", "Two")];
  assert.equal((await ask("POST", "/rooms", "Eve", "Three")).status, 409);
  assert.equal((await ask("POST", "/rooms", "Ann", "Three")).status, 201);

  await using member = await server.connect(server.path(first.id, "Eve"), [], { "x-user": "Eve" });
  await member.next();
  member.send("hello");
  await until("the message", async () => {
    const response = await server.fetch(`/rooms/${first.id}/messages`, { headers: { "x-user": "Eve" } });
    return (await response.json()).messages.length === 1;
  });
  assert.equal((await ask("DELETE", `/rooms/${first.id}`, "Ann")).status, 403);
  assert.equal((await ask("DELETE", `/rooms/${first.id}`, "Eve")).status, 204);
  assert.deepEqual(await within("the close", member.closed), { code: 1000, reason: "Room not found" });
  assert.equal((await server.bus.history(`@chat:log:${first.id}`)).publications.length, 0);
  assert.equal((await ask("DELETE", `/rooms/${first.id}`, "Eve")).status, 404);
  assert.ok(!rooms.has(first.id));
  const { id } = await ask("POST", "/rooms", "Eve", "Three again");
  assert.equal((await ask("DELETE", `/rooms/${id}`, "Root")).status, 204);
  assert.equal((await ask("DELETE", "/rooms/general", "Root")).status, 403, "general always exists");
});

Deno.test("a room that a client has created expires when it is empty, those of the app do not", async () => {
  const clock = new FakeClock();
  await using server = await chatServer({ emptyRoomMs: 3_600_000 }, { clock, pingIntervalMs: 86_000_000 });
  const { body: room } = await server.post({ name: "Short-lived" });
  await server.chat.createRoom("The app's");
  const ann = await server.join("Ann", room.id);
  clock.advance(4_000_000);
  assert.equal((await server.rooms()).length, 3, "not while it has members");
  await ann.close();
  await until("Ann to leave", async () => (await server.get(`/rooms/${room.id}`)).body.activeUsers === 0);
  clock.advance(3_500_000);
  assert.equal((await server.rooms()).length, 3);
  clock.advance(200_000);
  assert.deepEqual((await server.rooms()).map(({ name }) => name), ["General Chat", "The app's"]);
  const refused = await server.fetch("/rooms/general", { method: "DELETE" });
  assert.deepEqual([refused.status, (await refused.json()).error.code], [403, "permission_denied"]);
});

Deno.test("C03 messages have the seed's format and reach the right clients", async () => {
  await using server = await chatServer();
  await using alice = await server.connect(server.path("general", "Alice"));
  const welcome = await next(alice);
  const { Timestamp, ...rest } = welcome;
  assert.deepEqual(Object.keys(welcome), ["Type", "RoomId", "Username", "Content", "Timestamp"]);
  assert.deepEqual(rest, {
    Type: "system",
    RoomId: "general",
    Username: "System",
    Content: "Welcome to General Chat, Alice!",
  });
  assert.match(Timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);

  const bob = await server.join("Bob");
  assert.deepEqual(await received(alice, 1), ["join Bob: Bob joined the room"]);
  bob.send("Hi Alice!");
  const { Timestamp: _, ...message } = await next(alice);
  assert.deepEqual(message, { Type: "message", RoomId: "general", Username: "Bob", Content: "Hi Alice!" });
  await bob.close();
  assert.deepEqual(await received(alice, 1), ["leave Bob: Bob left the room"]);
  assert.equal(bob.waiting, 0, "clients do not get their own messages");
});

Deno.test("C03 a client that enters an unknown room gets an error and is closed", async () => {
  await using server = await chatServer();
  await using client = await server.connect(server.path("invalid-room", "Alice"));
  const { Timestamp: _, ...error } = await next(client);
  assert.deepEqual(error, {
    Type: "error",
    RoomId: "invalid-room",
    Username: "System",
    Content: "Room 'invalid-room' not found",
  });
  assert.deepEqual(await within("the close", client.closed), { code: 1000, reason: "Room not found" });
});

Deno.test("C04 messages reach the other members of the room in order, and no other room", async () => {
  await using server = await chatServer();
  const { body: { id } } = await server.post({ name: "Tech Talk" });
  await using alice = await server.join("Alice");
  await using bob = await server.join("Bob");
  await using carol = await server.join("Carol", id);
  await using dan = await server.join("Dan", id);
  assert.deepEqual(await received(alice, 1), ["join Bob: Bob joined the room"]);
  assert.deepEqual(await received(carol, 1), ["join Dan: Dan joined the room"]);

  const count = 500;
  for (let n = 0; n < count; n++) alice.send(`${n}`);
  carol.send("elsewhere");
  assert.deepEqual(
    await received(bob, count),
    Array.from({ length: count }, (_, n) => `message Alice: ${n}`),
  );
  assert.deepEqual(await received(dan, 1), ["message Carol: elsewhere"]);
  await nothingElse(alice, bob);
  await nothingElse(carol, dan);
});

Deno.test("C04 texts arrive unchanged, blank ones are ignored", async () => {
  await using server = await chatServer();
  await using alice = await server.join("Alice");
  await using bob = await server.join("Bob");
  await received(alice, 1);
  const texts = [
    '"quoted" \\ and {"json":1}',
    "<script>alert(1)</script>",
    "line\nbreak\t\u2028",
    "😀 ü \u202E",
    "/typing",
  ];
  for (const text of ["", "  ", "\n", ...texts]) alice.send(text);
  for (const text of texts) assert.equal((await next(bob)).Content, text);
  await nothingElse(alice, bob);
});

Deno.test("C04 a leave follows the last message, however long that takes", async () => {
  const broker = memoryBroker();
  const { promise: stored, resolve: store } = Promise.withResolvers<void>();
  const slow = {
    ...broker,
    async publish(...args: Parameters<typeof broker.publish>) {
      if (args[0].startsWith("@chat:log:")) await stored;
      return await broker.publish(...args);
    },
  };
  await using server = await chatServer({ history: {} }, {}, slow);
  await using bob = await server.join("Bob");
  const alice = await server.join("Alice");
  alice.send("bye");
  await alice.close();
  await until("the member to be removed", () => server.chat.rooms()[0]!.activeUsers === 1);
  store();
  assert.deepEqual(await received(bob, 3), [
    "join Alice: Alice joined the room",
    "message Alice: bye",
    "leave Alice: Alice left the room",
  ]);
});

Deno.test("C05 activeUsers is correct after joins, leaves and broken or dead connections", async () => {
  await using server = await chatServer({}, { pingIntervalMs: 400, pongTimeoutMs: 150 });
  const active = async () => (await server.rooms())[0]!.activeUsers;
  await using alice = await server.join("Alice");
  assert.equal(await active(), 1);
  const bob = await server.join("Bob");
  const broken = await RawClient.upgrade(server.port, server.path("general", "Broken"));
  using _dead = await RawClient.upgrade(server.port, server.path("general", "Dead"));
  await until("all members", async () => await active() === 4);
  await bob.close();
  broken.tcp.close(); // no close frame
  await until("the others to be removed", async () => await active() === 1);
  const changes = (await received(alice, 6)).sort();
  assert.deepEqual(changes.map((each) => each.split(":")[0]), [
    "join Bob",
    "join Broken",
    "join Dead",
    "leave Bob",
    "leave Broken",
    "leave Dead",
  ]);
});

Deno.test("C06 invalid names are refused", async () => {
  await using server = await chatServer();
  const status = async (path: string) => {
    using raw = await RawClient.connect(server.port);
    return (await raw.request(path)).split(" ")[1];
  };
  const bad = [
    "\u0000",
    "a\nb",
    "\u202Eevil",
    "a\u200Bb",
    "\u2066x",
    " Alice",
    "Alice ",
    " ",
    "x".repeat(33),
    "x".repeat(10_000),
    "System",
    "ｓｙｓｔｅｍ",
    `z${"\u0301".repeat(9)}`,
  ];
  for (const name of bad) {
    assert.equal(await status(server.path("general", name)), "400", JSON.stringify(name));
  }
  assert.equal(await status(`/ws/${"r".repeat(10_000)}/Alice`), "400");
  for (const name of ["Zoë", "李小龍", "O'Brien", "<b>Bob</b>", "a/b", "😀", "María José"]) {
    assert.equal(await status(server.path("general", name)), "101", name);
  }
});

Deno.test("C06 the members of a room and the size of a message are limited", async () => {
  await using server = await chatServer({ maxUsersPerRoom: 1, maxMessageBytes: 100 });
  await using alice = await server.join("Alice");
  await using bob = await server.connectAs("Bob");
  assert.deepEqual(await received(bob, 1), ["error System: Room 'general' is full"]);
  assert.equal((await within("the close", bob.closed)).code, 4001);
  alice.send("x".repeat(101));
  assert.equal((await within("the close", alice.closed)).code, 1009);
  await until("the member to be removed", () => server.chat.rooms()[0]!.activeUsers === 0);
  await using carol = await server.join("Carol");
  assert.ok(carol);
});

Deno.test("C06 a client that sends too much gets an error, the others get nothing", async () => {
  const limits = rateLimits({ limits: { publishes: "3/1h" } });
  await using server = await chatServer({ limits: limits.api }, {}, memoryBroker(), limits);
  await using alice = await server.join("Alice");
  await using bob = await server.join("Bob");
  await received(alice, 1);
  for (let n = 1; n <= 4; n++) alice.send(`${n}`);
  assert.deepEqual(await received(bob, 3), ["message Alice: 1", "message Alice: 2", "message Alice: 3"]);
  assert.match((await next(alice)).Content, /^Your message was not sent: Rate limit exceeded/);

  const floods = rateLimits({ limits: { messages: "2/1h" } });
  await using strict = await chatServer({ limits: floods.api }, {}, memoryBroker(), floods);
  await using carol = await strict.join("Carol");
  for (let n = 1; n <= 3; n++) carol.send(`${n}`);
  const { Type, Content } = await next(carol);
  assert.deepEqual([Type, Content.startsWith("Rate limit exceeded")], ["error", true]);
  assert.equal(bob.waiting, 0);
});

Deno.test("C07 every operation of the chat is in the trace, in the seed's format", async () => {
  const records: TraceRecord[] = [];
  const { traced } = trace({ output: (line) => void records.push(JSON.parse(line)) }).api;
  await using server = await chatServer({ trace: { traced } });
  await using alice = await server.join("Alice");
  await using bob = await server.join("Bob");
  bob.send("Hello everyone!");
  await received(alice, 2);
  await server.post({ name: "Tech Talk" });
  await bob.close();
  await received(alice, 1);

  const entered = (name: string) =>
    records.filter((each) => each.event === "ENTER" && each.function === name);
  const [connection] = entered("handleWebSocketConnection");
  assert.equal(connection!.class, "ChatService");
  const { roomId, username } = JSON.parse(connection!.args!);
  assert.deepEqual([roomId, username], ["general", "Alice"]);
  const [welcome] = entered("sendMessageToClient");
  assert.equal(JSON.parse(welcome!.args!).message.Content, "Welcome to General Chat, Alice!");
  const said = entered("broadcastToRoom").map(({ args }) => JSON.parse(args!).message);
  assert.deepEqual(said.map(({ Type, Username }) => `${Type} ${Username}`), [
    "join Alice",
    "join Bob",
    "message Bob",
    "leave Bob",
  ]);
  for (const name of ["receiveMessage", "joinRoom", "leaveRoom"]) assert.ok(entered(name).length > 0, name);
  const managed = records.filter((each) => each.class === "ChatRoomManager").map((each) => each.function);
  for (const name of ["createRoom", "validateRoomName", "enterRoom", "leaveRoom"]) {
    assert.ok(managed.includes(name));
  }

  // Calls that a connection causes have its thread.
  assert.equal(welcome!.thread, connection!.thread);
  const exit = records.find((each) => each.event === "EXIT" && each.function === "broadcastToRoom");
  assert.deepEqual([exit!.result, Number.isInteger(exit!.durationMicros)], ["void", true]);
});

Deno.test("rooms survive a restart", async () => {
  const entries = new Map<string, string>();
  const store = {
    load: () => entries,
    set: (key: string, value: string) => void entries.set(key, value),
    delete: (key: string) => void entries.delete(key),
  };
  let before: ChatRoom[];
  {
    await using server = await chatServer({ store });
    await server.post({ name: "Tech Talk" });
    before = await server.rooms();
  }
  await using server = await chatServer({ store });
  assert.deepEqual(await server.rooms(), before);
});

Deno.test("a room that cannot be stored is not created", async () => {
  const store = {
    load: () =>
      [["general", JSON.stringify({ name: "General Chat", createdAt: "2024-01-01T00:00:00Z" })]] as const,
    delete: () => {},
    set: () => Promise.reject(new Error("disk full")),
  };
  await using server = await chatServer({ store });
  assert.equal((await server.post({ name: "Tech Talk" })).status, 500);
  assert.match((await server.log.next()).message, /cannot create a room/);
  assert.deepEqual((await server.rooms()).map(({ createdAt }) => createdAt), ["2024-01-01T00:00:00Z"]);
});

Deno.test("a client that joins gets the latest messages after the welcome and before new ones", async () => {
  await using server = await chatServer({ history: { onJoin: 3 } });
  await using alice = await server.join("Alice");
  for (let n = 1; n <= 5; n++) alice.send(`${n}`);
  await until(
    "all five",
    async () => (await server.get("/rooms/general/messages")).body.messages.length === 5,
  );
  await using bob = await server.connectAs("Bob");
  alice.send("6");
  assert.deepEqual(await received(bob, 5), [
    "system System: Welcome to General Chat, Bob!",
    "message Alice: 3",
    "message Alice: 4",
    "message Alice: 5",
    "message Alice: 6",
  ]);
  assert.deepEqual(await received(alice, 1), ["join Bob: Bob joined the room"]);
  assert.equal(alice.waiting, 0, "clients do not get their own messages");
});

Deno.test("messages are read in pages, in order", async () => {
  await using server = await chatServer({ history: { messages: 8 } });
  await using alice = await server.join("Alice");
  for (let n = 1; n <= 10; n++) alice.send(`${n}`);
  const page = async (query = "") => {
    const { status, body } = await server.get(`/rooms/general/messages${query}`);
    assert.equal(status, 200);
    return { said: body.messages.map(({ Content }: ChatMessage) => Content), before: body.before };
  };
  await until("the last message", async () => (await page()).said.at(-1) === "10");
  assert.deepEqual(await page(), { said: ["3", "4", "5", "6", "7", "8", "9", "10"], before: null });
  const latest = await page("?limit=3");
  assert.deepEqual(latest, { said: ["8", "9", "10"], before: 8 });
  const middle = await page(`?limit=3&before=${latest.before}`);
  assert.deepEqual(middle, { said: ["5", "6", "7"], before: 5 });
  assert.deepEqual(await page(`?limit=3&before=${middle.before}`), { said: ["3", "4"], before: null });
  assert.deepEqual(await page("?before=1"), { said: [], before: null });
  for (const query of ["?limit=0", "?limit=x", "?before=-1", "?limit=1e9"]) {
    assert.equal((await server.get(`/rooms/general/messages${query}`)).status, 400, query);
  }
  assert.equal((await server.get("/rooms/none/messages")).status, 404);
  await using without = await chatServer();
  assert.equal((await without.get("/rooms/general/messages")).status, 404);
});

Deno.test("a client that joins during a conversation gets each message once", async () => {
  // The broker answers with varying delays.
  await using server = await chatServer(
    { history: { onJoin: 1_000 } },
    {},
    remoteBrokers(1, new Network({ failures: 0 }))[0],
  );
  const talkers = await Promise.all(["A", "B", "C"].map((name) => server.join(name)));
  const each = 40;
  const joiners: Client[] = [];
  for (let n = 0; n < each; n++) {
    for (const talker of talkers) talker.send(`${n}`);
    if (n % 4 === 0) joiners.push(await server.connectAs(`joiner ${n}`));
  }
  for (const joiner of joiners) {
    const said = new Map<string, number>();
    for (let left = talkers.length * each; left > 0;) {
      const { Type, Username, Content } = await next(joiner);
      if (Type !== "message") continue;
      assert.equal(Number(Content), said.get(Username) ?? 0, `of ${Username}, each once and in order`);
      said.set(Username, Number(Content) + 1);
      left--;
    }
    await joiner.close();
  }
  await Promise.all(talkers.map((talker) => talker.close()));
});

Deno.test("an option makes names unique in a room", async () => {
  await using server = await chatServer({ uniqueNames: true });
  const { body: { id } } = await server.post({ name: "Tech Talk" });
  await using alice = await server.join("Alice");
  await using twin = await server.connectAs("ＡLICE");
  assert.deepEqual(await received(twin, 1), ["error System: Username 'ＡLICE' is taken"]);
  assert.equal((await within("the close", twin.closed)).code, 4501);
  await using elsewhere = await server.join("Alice", id);
  await alice.close();
  await until("the member to be removed", () => server.chat.rooms()[0]!.activeUsers === 0);
  await using again = await server.join("Alice");
  assert.ok(again && elsewhere);

  await using relaxed = await chatServer();
  await using one = await relaxed.join("Alice");
  await using two = await relaxed.join("Alice");
  assert.ok(one && two);
});

Deno.test("options allow typing notifications and private messages", async () => {
  await using server = await chatServer({ typing: true, privateMessages: true, history: {} });
  await using alice = await server.join("Alice");
  await using bob = await server.join("Bob");
  await using mary = await server.join("Mary Ann");
  await received(alice, 2);
  await received(bob, 1);
  alice.send("/typing");
  for (const other of [bob, mary]) {
    assert.deepEqual(await received(other, 1), ["typing Alice: Alice is typing"]);
  }
  alice.send("/msg Bob psst");
  alice.send('/msg "mary ann" two words');
  assert.deepEqual(await received(bob, 1), ["private Alice: psst"]);
  assert.deepEqual(await received(mary, 1), ["private Alice: two words"]);
  alice.send("/msg Nobody hello");
  alice.send("/msg Bob");
  assert.deepEqual(await received(alice, 2), [
    "error System: There is no 'Nobody' in this room",
    'error System: Write /msg Bob hello, or /msg "Mary Ann" hello',
  ]);
  alice.send("/message is no command");
  assert.deepEqual(await received(bob, 1), ["message Alice: /message is no command"]);
  assert.deepEqual(await received(mary, 1), ["message Alice: /message is no command"]);
  const { messages } = (await server.get("/rooms/general/messages")).body;
  assert.deepEqual(messages.map(({ Content }: ChatMessage) => Content), ["/message is no command"]);
});

Deno.test("with sign-in, a client cannot use the name of another user", async () => {
  const access: ChatOptions["access"] = {
    signsIn: true,
    identityOf(who) {
      const user = "headers" in who ? who.headers.get("x-user") : null;
      return user === null ? undefined : { user, can: () => true };
    },
    refusal: () => undefined,
    requireAuth: () => (_, next) => next(),
    requestIdentity: () => Promise.resolve(anonymousIdentity),
    allowsOrigin: () => true,
  };
  await using server = await chatServer({ access });
  const status = async (name: string, user: string) => {
    using raw = await RawClient.connect(server.port);
    return (await raw.request(server.path("general", name), { "x-user": user })).split(" ")[1];
  };
  assert.equal(await status("Alice", "Alice"), "101");
  assert.equal(await status("Bob", "Alice"), "403");
});

Deno.test("where others sign in, the names of anonymous clients cannot be those of users", async () => {
  const statuses = async (options: AuthOptions) => {
    const access = auth({ anonymous: true, ...options });
    await using server = await chatServer({ access: access.api }, {}, undefined, access);
    return await Promise.all(["Alice", "guest-Alice", "Guest-Alice"].map(async (name) => {
      using raw = await RawClient.connect(server.port);
      return (await raw.request(server.path("general", name))).split(" ")[1];
    }));
  };
  assert.deepEqual(await statuses({ jwt: { secret: "x".repeat(32) } }), ["403", "101", "403"]);
  assert.deepEqual(await statuses({}), ["101", "101", "101"], "nobody can sign in");
});

Deno.test("with sign-in, rooms require the permission to read and messages the permission to write", async () => {
  const people: Record<string, string[]> = {
    Reader: ["read:chat", "read:chat:general"],
    Writer: ["write:chat", "read:chat:*", "write:chat:*"],
    Other: ["read:news", "write:news"],
  };
  const access = auth({
    signIn: ({ headers }) => {
      const user = headers.get("x-user");
      return user === null ? undefined : { user, permissions: people[user]! };
    },
  });
  await using server = await chatServer({ access: access.api }, {}, undefined, access);
  const rooms = async (method: string, user: string | undefined, more: Record<string, string> = {}) => {
    const headers = { ...(user !== undefined && { "x-user": user }), ...more };
    const body = method === "POST" ? { body: JSON.stringify({ name: `Room of ${user}` }) } : {};
    const response = await server.fetch("/rooms", { method, headers, ...body });
    await response.body?.cancel();
    return response.status;
  };
  for (const method of ["GET", "POST"]) assert.equal(await rooms(method, undefined), 401, method);
  for (const method of ["GET", "POST"]) assert.equal(await rooms(method, "Other"), 403, method);
  assert.deepEqual([await rooms("GET", "Reader"), await rooms("POST", "Reader")], [200, 403]);
  assert.equal(await rooms("POST", "Writer", { origin: "https://evil.com" }), 403, "from another origin");
  assert.equal(await rooms("POST", "Writer"), 201);

  const refused = async (headers: Record<string, string>) => {
    using raw = await RawClient.connect(server.port);
    return (await raw.request(server.path("general", "Other"), headers)).split(" ")[1];
  };
  assert.equal(await refused({ "x-user": "Other" }), "403");
  const join = (user: string) => server.connect(server.path("general", user), [], { "x-user": user });
  await using reader = await join("Reader");
  assert.equal((await received(reader, 1)).length, 1);
  await using writer = await join("Writer");
  await received(writer, 1);
  await received(reader, 1);
  reader.send("hello");
  assert.deepEqual(await received(reader, 1), ["error System: Your message was not sent: Permission denied"]);
  writer.send("hello");
  assert.deepEqual(await received(reader, 1), ["message Writer: hello"]);
  assert.equal(writer.waiting, 0);
});

Deno.test("pages of allowed origins may list and create rooms, others may not", async () => {
  const access = auth({ origins: ["https://app.example.com"] });
  await using server = await chatServer({ access: access.api }, {}, undefined, access);
  const ask = async (origin: string, init: RequestInit) => {
    const headers = { origin, "access-control-request-headers": "authorization" };
    const { status, headers: answered, body } = await server.fetch("/rooms", { headers, ...init });
    await body?.cancel();
    return [status, answered.get("access-control-allow-origin")];
  };
  const page = "https://app.example.com";
  assert.deepEqual(await ask(page, { method: "OPTIONS" }), [204, page]);
  assert.deepEqual(await ask(page, {}), [200, page]);
  assert.deepEqual(await ask(page, { method: "POST", body: '{"name":"Tea"}' }), [201, page]);
  assert.deepEqual(await ask("https://evil.com", { method: "OPTIONS" }), [204, null]);
  assert.deepEqual(await ask("https://evil.com", {}), [403, null]);
  assert.deepEqual(await ask("https://evil.com", { method: "POST", body: '{"name":"Gin"}' }), [403, null]);
});

Deno.test("without sign-in, clients may use any name", async () => {
  const access = auth();
  await using server = await chatServer({ access: access.api }, {}, undefined, access);
  await using alice = await server.connect(server.path("general", "Alice"));
  assert.equal((await alice.nextJson()).Type, "system");
});

Deno.test("clients of other protocols can neither subscribe to a room nor publish in it", async () => {
  const bus = channels();
  const talk = chat({ channels: bus.api, history: {} });
  await using server = await serve({}, bus, talk, channelProtocol(bus.api));
  await using spy = await server.connect("/t?user=Alice");
  for (const channel of ["@chat:room:general", "@chat:log:general"]) {
    for (const what of ["subscribe", "publish", "history"]) {
      spy.sendJson({ do: what, channel, data: {} });
      assert.equal((await spy.nextJson()).error, "permission_denied", `${what} ${channel}`);
    }
  }
});

Deno.test("announcements of the app and other channels arrive as system messages", async () => {
  await using server = await chatServer();
  await using alice = await server.join("Alice");
  await server.chat.announce("general", "Tea is ready");
  assert.deepEqual(await received(alice, 1), ["system System: Tea is ready"]);
  const [id] = server.bus.clients.keys();
  await server.bus.subscribeClients({ client: id! }, "news");
  await server.bus.publish("news", "hello");
  assert.deepEqual(await received(alice, 2), ["system System: subscribed", 'system System: "hello"']);
});

Deno.test("a message that cannot be sent is answered with an error, and the chat continues", async () => {
  const broker = memoryBroker();
  let broken = false;
  const fragile = {
    ...broker,
    publish(...args: Parameters<typeof broker.publish>) {
      if (broken) throw new Error("the broker is away");
      return broker.publish(...args);
    },
  };
  await using server = await chatServer({}, {}, fragile);
  await using alice = await server.join("Alice");
  await using bob = await server.join("Bob");
  await received(alice, 1);
  broken = true;
  alice.send("lost");
  assert.deepEqual(await received(alice, 1), [
    "error System: Your message was not sent: internal server error",
  ]);
  assert.match((await server.log.next()).message, /a message could not be sent/);
  broken = false;
  alice.send("found");
  assert.deepEqual(await received(bob, 1), ["message Alice: found"]);
});

Deno.test("the chat works with a path prefix", async () => {
  const bus = channels();
  await using server = await serve({}, bus, chat({ channels: bus.api, path: "/chat" }));
  await using alice = await server.connect("/chat/ws/general/Alice");
  assert.equal((await next(alice)).Type, "system");
  const response = await server.fetch("/chat/rooms", { method: "POST", body: '{"name":"Tech Talk"}' });
  assert.equal(response.headers.get("location"), `/chat/rooms/${(await response.json()).id}`);
});
