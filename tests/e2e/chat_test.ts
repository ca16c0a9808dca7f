/** `examples/chat.ts` as a process, with a bare WebSocket client: the seed's own scenarios, and what attacks it. */

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
  /** Connects without a look at what comes. */
  come(room: string, name: string): Promise<Client>;
  rooms(): Promise<{ id: string; name: string; activeUsers: number }[]>;
  createRoom(name: string): Promise<string>;
}

async function startChat(...args: string[]): Promise<ChatProcess> {
  const permissions = ["--no-prompt", "--allow-net", "--allow-env", "--allow-read", "--allow-write"];
  const command = ["run", ...permissions, "examples/chat.ts", ...args];
  const server = await startExample(command);
  return {
    ...server,
    come: (room, name) => Client.connect(server.url + path(room, name)),
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

/** The next message, which must be this one; its time must be now. */
async function hears(client: Client, Type: string, Username: string, Content: string): Promise<void> {
  const { Timestamp, ...message }: Message = await client.nextJson();
  assert.deepEqual(message, { Type, RoomId: "general", Username, Content });
  assert.ok(Math.abs(Date.parse(Timestamp) - Date.now()) < 60_000);
}

Deno.test("C03 C04 the session in the seed's documentation happens, message for message", async () => {
  await using server = await startChat();
  await using alice = await server.come("general", "Alice");
  await hears(alice, "system", "System", "Welcome to General Chat, Alice!");

  await using bob = await server.come("general", "Bob");
  await hears(bob, "system", "System", "Welcome to General Chat, Bob!");
  await hears(alice, "join", "Bob", "Bob joined the room");

  alice.send("Hello everyone!");
  await hears(bob, "message", "Alice", "Hello everyone!");
  bob.send("Hi Alice!");
  await hears(alice, "message", "Bob", "Hi Alice!");

  await using charlie = await server.come("general", "Charlie");
  await hears(charlie, "system", "System", "Welcome to General Chat, Charlie!");
  for (const other of [alice, bob]) await hears(other, "join", "Charlie", "Charlie joined the room");

  const [general] = await server.rooms();
  assert.deepEqual({ ...general, createdAt: "" }, {
    id: "general",
    name: "General Chat",
    createdAt: "",
    activeUsers: 3,
  });
  await alice.close();
  for (const other of [bob, charlie]) await hears(other, "leave", "Alice", "Alice left the room");
  assert.deepEqual([alice, bob, charlie].map(({ waiting }) => waiting), [0, 0, 0], "and nothing else");
});

Deno.test("C02 C04 the seed's scenario of several rooms", async () => {
  await using server = await startChat();
  const id = await server.createRoom("Tech Talk");
  await using alice = await server.come("general", "Alice");
  await using bob = await server.come(id, "Bob");
  await using carol = await server.come(id, "Carol");
  assert.equal((await bob.nextJson()).Content, "Welcome to Tech Talk, Bob!");
  assert.equal((await bob.nextJson()).Type, "join");
  assert.equal((await carol.nextJson()).Type, "system");
  bob.send("Only for tech talk");
  assert.deepEqual((await carol.nextJson()).Content, "Only for tech talk");
  await hears(alice, "system", "System", "Welcome to General Chat, Alice!");
  assert.equal(alice.waiting, 0);
});

Deno.test("C05 the seed's scenario of cleaning up", async () => {
  await using server = await startChat();
  const alice = await server.come("general", "Alice");
  assert.equal((await server.rooms())[0]!.activeUsers, 1);
  await alice.close();
  await until("the end", async () => (await server.rooms())[0]!.activeUsers === 0);
});

Deno.test("C05 clients whose process is killed are gone at once", async () => {
  await using server = await startChat();
  await using alice = await server.come("general", "Alice");
  const script = `for (let i = 0; i < 10; i++) new WebSocket("${server.url}/ws/general/killed" + i);`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", script], stdout: "null", stderr: "null" })
    .spawn();
  await until("all", async () => (await server.rooms())[0]!.activeUsers === 11);
  child.kill("SIGKILL");
  await child.status;
  await until("their end", async () => (await server.rooms())[0]!.activeUsers === 1);
  const left = new Set<string>();
  while (left.size < 10) {
    const { Type, Username } = await alice.nextJson();
    if (Type === "leave") left.add(Username);
  }
});

/** Somebody who talks and keeps count of what the others say. */
class Talker {
  readonly heard = new Map<string, number>();
  problem: string | undefined;
  readonly #socket: WebSocket;
  readonly ready: Promise<void>;

  constructor(url: string, name: string) {
    this.#socket = new WebSocket(url.replace("http", "ws") + path("general", name));
    this.ready = new Promise((resolve) => {
      this.#socket.onmessage = ({ data }) => {
        const { Type, Username, Content }: Message = JSON.parse(data);
        if (Type === "system") resolve();
        if (Type === "message") this.#hear(Username, Number(Content));
        if (Type === "error") this.problem ??= Content;
      };
    });
    this.#socket.onerror = (event) => event.preventDefault();
    this.#socket.onclose = ({ code, reason }) => this.problem ??= `closed with ${code} ${reason}`;
  }

  #hear(from: string, n: number): void {
    const expected = this.heard.get(from) ?? 0;
    if (n !== expected) this.problem ??= `${from} said ${n} where ${expected} was next`;
    this.heard.set(from, n + 1);
  }

  say(text: string): void {
    this.#socket.send(text);
  }

  async end(): Promise<void> {
    this.problem ??= "";
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#socket.close();
    await within("the close", closed);
  }
}

Deno.test("C08 100 clients talk at once while others come, break off and go: nothing is lost or reordered", async () => {
  const COUNT = 100;
  const MESSAGES = 100;
  const ROUNDS = 10;
  await using server = await startChat();
  const names = Array.from({ length: COUNT }, (_, i) => `talker ${i}`);
  const talkers = names.map((name) => new Talker(server.url, name));
  await within("all welcomes", Promise.all(talkers.map(({ ready }) => ready)));

  for (let round = 0; round < ROUNDS; round++) {
    // One says something and breaks off without a close frame, one goes properly.
    const broken = await RawClient.upgrade(server.port, path("general", `broken ${round}`));
    const gone = await server.come("general", `gone ${round}`);
    await broken.frame(1, "0");
    for (let n = 0; n < MESSAGES / ROUNDS; n++) {
      for (const talker of talkers) talker.say(String(round * (MESSAGES / ROUNDS) + n));
    }
    broken.tcp.close();
    await gone.close();
    const upTo = (round + 1) * (MESSAGES / ROUNDS);
    const complete = (talker: Talker, own: string) =>
      talker.problem !== undefined || names.every((name) => name === own || talker.heard.get(name) === upTo);
    await until(`round ${round}`, () => talkers.every((talker, i) => complete(talker, names[i]!)), 60_000);
    assert.deepEqual(talkers.flatMap(({ problem }) => problem ?? []), []);
  }

  for (const [i, { heard }] of talkers.entries()) {
    assert.equal(heard.get(names[i]!), undefined, "nobody hears themselves");
    for (const name of names) if (name !== names[i]) assert.equal(heard.get(name), MESSAGES);
  }
  await until("the right count", async () => (await server.rooms())[0]!.activeUsers === COUNT);
  await Promise.all(talkers.map((talker) => talker.end()));
  await until("nobody", async () => (await server.rooms())[0]!.activeUsers === 0);
});

Deno.test("rooms and messages are there again after the process was killed", async () => {
  const folder = await Deno.makeTempDir();
  try {
    let id: string;
    {
      await using server = await startChat("--data-dir", folder);
      id = await server.createRoom("Tech Talk");
      await using alice = await server.come(id, "Alice");
      await using bob = await server.come(id, "Bob");
      alice.send("Remember this");
      while ((await bob.nextJson()).Content !== "Remember this");
      await server.stop("SIGKILL");
    }
    await using server = await startChat("--data-dir", folder);
    assert.deepEqual((await server.rooms()).map(({ name }) => name), ["General Chat", "Tech Talk"]);
    await using carol = await server.come(id, "Carol");
    assert.equal((await carol.nextJson()).Type, "system");
    const { Username, Content } = await carol.nextJson();
    assert.deepEqual([Username, Content], ["Alice", "Remember this"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("C07 the example writes the trace that the seed shows", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using server = await startChat("--trace", `${folder}/trace.jsonl`);
    await using alice = await server.come("general", "Alice");
    await using bob = await server.come("general", "Bob");
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
  "C06 hostile names and messages are shown as they are, and nothing of them runs",
  async (path) => {
    await using server = await startChat();
    const html = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
    await server.createRoom(`<b>Bold</b> & "co"`);
    await using eve = await server.come("general", "<i>Eve</i>");
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

      await page.fill("#text", "Hello from the page");
      await page.getByText("Send").click();
      assert.equal((await eve.nextJson()).Content, "Hello from the page");
    } finally {
      await browser.close();
    }
  },
);
