/** `examples/chat.ts` as a process with a plain WebSocket client: the scenarios of the seed, and attacks. */

import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { type RunningExample, startExample } from "../kit/example.ts";
import { Client, RawClient, until, within } from "../kit/mod.ts";
import { testWith } from "../kit/programs.ts";

interface Message {
  readonly Type: string;
  readonly RoomId: string;
  readonly Username: string;
  readonly Content: string;
  readonly Timestamp: string;
}

interface ChatProcess extends RunningExample {
  /** Connects without waiting for the welcome. */
  connect(room: string, name: string): Promise<Client>;
  rooms(): Promise<{ id: string; name: string; activeUsers: number }[]>;
  createRoom(name: string): Promise<string>;
}

async function startChat(...args: string[]): Promise<ChatProcess> {
  const permissions = ["--no-prompt", "--allow-net", "--allow-env", "--allow-read", "--allow-write"];
  const command = ["run", ...permissions, "examples/chat.ts", ...args];
  const server = await startExample(command);
  return {
    ...server,
    connect: (room, name) => Client.connect(server.url + path(room, name)),
    rooms: async () => await (await fetch(`${server.url}/rooms`)).json(),
    async createRoom(name) {
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${server.url}/rooms`, {
        method: "POST",
        headers,
        body: JSON.stringify({ name }),
      });
      assert.equal(response.status, 201);
      return (await response.json()).id;
    },
  };
}

const path = (room: string, name: string) => `/ws/${encodeURIComponent(room)}/${encodeURIComponent(name)}`;

/** Checks that this is the next message, with the current time. */
async function receives(client: Client, Type: string, Username: string, Content: string): Promise<void> {
  const { Timestamp, ...message }: Message = await client.nextJson();
  assert.deepEqual(message, { Type, RoomId: "general", Username, Content });
  assert.ok(Math.abs(Date.parse(Timestamp) - Date.now()) < 60_000);
}

Deno.test("C03 C04 the documented session of the seed works, message by message", async () => {
  await using server = await startChat();
  await using alice = await server.connect("general", "Alice");
  await receives(alice, "system", "System", "Welcome to General Chat, Alice!");

  await using bob = await server.connect("general", "Bob");
  await receives(bob, "system", "System", "Welcome to General Chat, Bob!");
  await receives(alice, "join", "Bob", "Bob joined the room");

  alice.send("Hello everyone!");
  await receives(bob, "message", "Alice", "Hello everyone!");
  bob.send("Hi Alice!");
  await receives(alice, "message", "Bob", "Hi Alice!");

  await using charlie = await server.connect("general", "Charlie");
  await receives(charlie, "system", "System", "Welcome to General Chat, Charlie!");
  for (const other of [alice, bob]) await receives(other, "join", "Charlie", "Charlie joined the room");

  const [general] = await server.rooms();
  assert.deepEqual({ ...general, createdAt: "" }, {
    id: "general",
    name: "General Chat",
    createdAt: "",
    activeUsers: 3,
  });
  await alice.close();
  for (const other of [bob, charlie]) await receives(other, "leave", "Alice", "Alice left the room");
  assert.deepEqual([alice, bob, charlie].map(({ waiting }) => waiting), [0, 0, 0], "nothing else");
});

Deno.test("C02 C04 the seed's scenario with several rooms", async () => {
  await using server = await startChat();
  const id = await server.createRoom("Tech Talk");
  await using alice = await server.connect("general", "Alice");
  await using bob = await server.connect(id, "Bob");
  await using carol = await server.connect(id, "Carol");
  assert.equal((await bob.nextJson()).Content, "Welcome to Tech Talk, Bob!");
  assert.equal((await bob.nextJson()).Type, "join");
  assert.equal((await carol.nextJson()).Type, "system");
  bob.send("Only for tech talk");
  assert.deepEqual((await carol.nextJson()).Content, "Only for tech talk");
  await receives(alice, "system", "System", "Welcome to General Chat, Alice!");
  assert.equal(alice.waiting, 0);
});

Deno.test("C05 the seed's scenario of connection cleanup", async () => {
  await using server = await startChat();
  const alice = await server.connect("general", "Alice");
  await until("the member", async () => (await server.rooms())[0]!.activeUsers === 1);
  await alice.close();
  await until("the member to be removed", async () => (await server.rooms())[0]!.activeUsers === 0);
});

Deno.test("C05 clients of a killed process are removed at once", async () => {
  await using server = await startChat();
  await using alice = await server.connect("general", "Alice");
  const script = `for (let i = 0; i < 10; i++) new WebSocket("${server.url}/ws/general/killed" + i);`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", script], stdout: "null", stderr: "null" })
    .spawn();
  await until("all members", async () => (await server.rooms())[0]!.activeUsers === 11);
  child.kill("SIGKILL");
  await child.status;
  await until("them to be removed", async () => (await server.rooms())[0]!.activeUsers === 1);
  const left = new Set<string>();
  while (left.size < 10) {
    const { Type, Username } = await alice.nextJson();
    if (Type === "leave") left.add(Username);
  }
});

/** A client that sends messages, and counts those of the others. */
class Talker {
  readonly counts = new Map<string, number>();
  problem: string | undefined;
  readonly #socket: WebSocket;
  readonly ready: Promise<void>;

  constructor(url: string, name: string) {
    this.#socket = new WebSocket(url.replace("http", "ws") + path("general", name));
    this.ready = new Promise((resolve) => {
      this.#socket.onmessage = ({ data }) => {
        const { Type, Username, Content }: Message = JSON.parse(data);
        if (Type === "system") resolve();
        if (Type === "message") this.#count(Username, Number(Content));
        if (Type === "error") this.problem ??= Content;
      };
    });
    this.#socket.onerror = (event) => event.preventDefault();
    this.#socket.onclose = ({ code, reason }) => this.problem ??= `closed with ${code} ${reason}`;
  }

  #count(from: string, n: number): void {
    const expected = this.counts.get(from) ?? 0;
    if (n !== expected) this.problem ??= `${from} sent ${n} instead of ${expected}`;
    this.counts.set(from, n + 1);
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  async end(): Promise<void> {
    this.problem ??= "";
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#socket.close();
    await within("the close", closed);
  }
}

Deno.test("C08 with 100 clients that talk while others connect, break and leave, nothing is lost or reordered", async () => {
  const COUNT = 100;
  const MESSAGES = 100;
  const ROUNDS = 10;
  await using server = await startChat();
  const names = Array.from({ length: COUNT }, (_, i) => `talker ${i}`);
  const talkers = names.map((name) => new Talker(server.url, name));
  await within("all welcomes", Promise.all(talkers.map(({ ready }) => ready)));

  for (let round = 0; round < ROUNDS; round++) {
    // One client sends a message and breaks without a close frame, one closes properly.
    const broken = await RawClient.upgrade(server.port, path("general", `broken ${round}`));
    const gone = await server.connect("general", `gone ${round}`);
    await broken.frame(1, "0");
    for (let n = 0; n < MESSAGES / ROUNDS; n++) {
      for (const talker of talkers) talker.send(String(round * (MESSAGES / ROUNDS) + n));
    }
    broken.tcp.close();
    await gone.close();
    const upTo = (round + 1) * (MESSAGES / ROUNDS);
    const complete = (talker: Talker, own: string) =>
      talker.problem !== undefined || names.every((name) => name === own || talker.counts.get(name) === upTo);
    await until(`round ${round}`, () => talkers.every((talker, i) => complete(talker, names[i]!)), 60_000);
    assert.deepEqual(talkers.flatMap(({ problem }) => problem ?? []), []);
  }

  for (const [i, { counts }] of talkers.entries()) {
    assert.equal(counts.get(names[i]!), undefined, "clients do not get their own messages");
    for (const name of names) if (name !== names[i]) assert.equal(counts.get(name), MESSAGES);
  }
  await until("the correct count", async () => (await server.rooms())[0]!.activeUsers === COUNT);
  await Promise.all(talkers.map((talker) => talker.end()));
  await until("no members", async () => (await server.rooms())[0]!.activeUsers === 0);
});

Deno.test("rooms and messages survive the kill of the process", async () => {
  const folder = await Deno.makeTempDir();
  try {
    let id: string;
    {
      await using server = await startChat("--data-dir", folder);
      id = await server.createRoom("Tech Talk");
      await using alice = await server.connect(id, "Alice");
      await using bob = await server.connect(id, "Bob");
      alice.send("Remember this");
      while ((await bob.nextJson()).Content !== "Remember this");
      await server.stop("SIGKILL");
    }
    await using server = await startChat("--data-dir", folder);
    assert.deepEqual((await server.rooms()).map(({ name }) => name), ["General Chat", "Tech Talk"]);
    await using carol = await server.connect(id, "Carol");
    assert.equal((await carol.nextJson()).Type, "system");
    const { Username, Content } = await carol.nextJson();
    assert.deepEqual([Username, Content], ["Alice", "Remember this"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("C07 the example writes the trace of the seed", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using server = await startChat("--trace", `${folder}/trace.jsonl`);
    await using alice = await server.connect("general", "Alice");
    await using bob = await server.connect("general", "Bob");
    bob.send("Hi Alice!");
    while ((await alice.nextJson()).Type !== "message");
    await server.stop();
    const lines = Deno.readTextFileSync(`${folder}/trace.jsonl`).trimEnd().split("\n").map((line) =>
      JSON.parse(line)
    );
    const [enter] = lines.filter((each) => each.function === "handleWebSocketConnection");
    assert.deepEqual(Object.keys(enter), ["timestamp", "event", "thread", "class", "function", "args"]);
    const [exit] = lines.filter((each) => each.function === "broadcastToRoom" && each.event === "EXIT");
    const { durationMicros, durationMillis, result } = exit;
    assert.deepEqual([result, durationMillis], ["void", Math.floor(durationMicros / 1000)]);
    const stack = new Map<string, number>();
    for (const { event, class: service, function: name } of lines) {
      const key = `${service}.${name}`;
      stack.set(key, (stack.get(key) ?? 0) + (event === "ENTER" ? 1 : -1));
    }
    assert.ok([...stack.values()].every((open) => open === 0), "each ENTER has its EXIT");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

testWith(
  "chromium",
  "C06 hostile names and messages are displayed as text and do not run",
  async (path) => {
    await using server = await startChat();
    const html = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
    await server.createRoom(`<b>Bold</b> & "co"`);
    await using eve = await server.connect("general", "<i>Eve</i>");
    assert.equal((await eve.nextJson()).Type, "system");

    const browser = await chromium.launch({ executablePath: path, args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      page.on("pageerror", (error) => assert.fail(error));
      await page.goto(`${server.url}/?room=general&name=${encodeURIComponent("Pa<u>ge</u>")}`);
      const join: Message = await eve.nextJson(20_000);
      assert.deepEqual([join.Type, join.Username], ["join", "Pa<u>ge</u>"]);
      const texts = [html, "\u202Eright to left", "x".repeat(4_000)];
      for (const text of texts) eve.send(text);

      const lines = page.locator("#lines p");
      await lines.nth(texts.length).waitFor();
      assert.deepEqual(await lines.allTextContents(), [
        "Welcome to General Chat, Pa<u>ge</u>!",
        ...texts.map((text) => `<i>Eve</i>: ${text}`),
      ]);
      assert.equal(await page.locator("#lines :not(p, bdi)").count(), 0, "only text");
      assert.equal(
        await page.locator("#lines .message bdi").count(),
        2 * texts.length,
        "each in its own direction",
      );
      assert.match(
        (await page.locator("#room option").allTextContents())[0]!,
        /^<b>Bold<\/b> & "co" \(\d\)$/,
      );
      assert.equal(await page.title(), "Chat");

      assert.deepEqual(await page.locator("#people li").allTextContents(), ["<i>Eve</i>", "Pa<u>ge</u>"]);
      eve.send("/typing");
      await page.getByText("<i>Eve</i> is typing …").waitFor();

      await page.fill("#text", "Hello from the page");
      await page.getByText("Send").click();
      assert.equal((await eve.nextJson()).Content, "Pa<u>ge</u> is typing");
      assert.equal((await eve.nextJson()).Content, "Hello from the page");
    } finally {
      await browser.close();
    }
  },
);
