/** Runs the snippets of the README as pasted. */

import assert from "node:assert/strict";
import { deno, root, type RunningExample, startExample } from "../kit/example.ts";
import { Client, until } from "../kit/mod.ts";
import { section, type Snippet, snippets } from "../kit/readme.ts";

const programs = snippets().filter(({ language }) => language === "ts ignore");
const isServer = ({ code }: Snippet) => !code.includes("//127.0.0.1:8080");

/** The ports of the README's servers. The tests use others. */
const PORTS = /\b(8080|3001)\b/g;

Deno.test("the README has the expected snippets", () => {
  const titles = programs.filter((each) => !isServer(each)).map(({ title }) => title);
  assert.deepEqual(titles, [
    "Chat",
    "Presence",
    "A live query",
    "Pushing from a backend",
    "TinyBase",
    "Live queries in five minutes",
    "SQL of clients.",
    "Sign-in",
    "Rows that stay up to date",
  ]);
  for (const { title, code } of programs) {
    assert(printedBy(code).length > 0 || isServer({ title, code, language: "" }));
  }
});

for (const { title, code } of programs.filter((each) => !isServer(each))) {
  if (title === "Live queries in five minutes") continue; // its server is also a snippet
  Deno.test(`the README's ${title} runs as pasted and prints the expected lines`, async () => {
    const env = title === "Sign-in" ? { JWT_SECRET: "a secret for the readers of the README" } : {};
    await using server = await startMain(env);
    await runsAsPasted(code, server, env);
  });
}

Deno.test("the README's server and client of a live query run as pasted", async () => {
  const [program, client] = programs.filter(({ title }) => title === "Live queries in five minutes");
  await using server = await startSnippet(program!.code);
  await runsAsPasted(client!.code, server);
});

Deno.test("the README's SQL events run as pasted", async () => {
  const program = programs.find(({ title }) => title === "SQL events")!;
  await using server = await startSnippet(program.code);
  const lines = [...printedBy(program.code), 'tableName: "users"'];
  await until("the expected output", () => lines.every((line) => server.printed().includes(line)));
});

Deno.test("the README's RealtimeServer and createWebSocketServer run as pasted", async () => {
  const [realtime, events] = programs.filter(({ title }) => title === "One object").map(({ code }) => code);
  {
    await using server = await startSnippet(realtime!);
    await until(
      "the expected output",
      () => printedBy(realtime!).every((line) => server.printed().includes(line)),
    );
  }
  await using server = await startSnippet(events!);
  await using client = await Client.connect(`${server.url}/ws`);
  assert.equal((await client.nextJson()).type, "connection:ack");
});

Deno.test("the README's example of an own server runs as pasted", async () => {
  const program = programs.find(({ title }) => title === "Your own server")!;
  await using server = await startSnippet(program.code);
  await using client = await Client.connect(`${server.url}/ws`);
  client.sendJson({ type: "publish", channel: "chat:lobby", data: "hello" });
  client.sendJson({ type: "subscribe", channel: "news:today" });
  client.sendJson({ type: "publish", channel: "news:today", data: "mine" });
  await reply(client, ({ type }) => type === "published");
  await reply(client, ({ type, data }) => type === "error" && data.code === "PERMISSION_DENIED");
  await reply(client, ({ type, data }) => type === "message" && data.title === "Still here");
  await until("the callback", () => server.printed().includes("received hello"));
  assert.equal(await server.stop("SIGTERM"), 0);
});

Deno.test("the README's contract and its server run as pasted", async () => {
  const [api, program] = programs.filter(({ title }) => title === "Types from the server");
  const [five] = programs.filter(({ title }) => title === "Live queries in five minutes");
  const before = five!.code.split("server.use({")[0]!.replace(/^/, 'import { api } from "./api.ts";\n');
  await using server = await startSnippet(`${before}${program!.code}await run(server);\n`, {
    "api.ts": api!.code,
  });
  await using client = await Client.connect(`${server.url}/connection/websocket`);
  const ask = async (command: object) => {
    client.sendJson({ id: 1, ...command });
    return await client.nextJson();
  };
  await ask({ connect: {} });
  assert.equal((await ask({ rpc: { method: "add", data: { a: 1, b: 2 } } })).rpc.data, 3);
  assert.equal((await ask({ rpc: { method: "addOrder", data: { customer: "Ada" } } })).rpc.data, 1);
  const { subscribe } = await ask({ subscribe: { channel: "live:ordersByStatus?status=pending" } });
  assert.deepEqual(subscribe.data.rows, [{ id: 1, customer: "Ada" }]);
});

Deno.test("the README's channels of an AI answer recover 1,000 tokens", async () => {
  const recipe = programs.find(({ title }) => title === "An AI answer.")!;
  await using server = await startSnippet(`
    import { run, Server } from "@plugboard/server";
    import { auth } from "@plugboard/server/auth";
    import { centrifuge } from "@plugboard/server/centrifuge";
    import { channels } from "@plugboard/server/channels";
    import { persistence } from "@plugboard/server/persistence";
    const server = new Server({ port: 8080 });
    const store = server.use(persistence({ path: "answers.db" }));
    const access = server.use(auth());
    ${recipe.code}
    server.use(centrifuge({ channels: bus, access }));
    await run(server);
    for (let i = 0; i < 1_000; i++) await bus.publish("answer:1", { text: String(i) });
    console.log("written");
  `);
  await until("the answer", () => server.printed().includes("written"));
  await using client = await Client.connect(`${server.url}/connection/websocket`);
  client.sendJson({ id: 1, connect: {} });
  await client.nextJson();
  client.sendJson({ id: 2, subscribe: { channel: "answer:1", recover: true, offset: 0, epoch: "" } });
  const { subscribe } = await client.nextJson();
  assert.deepEqual([subscribe.recovered, subscribe.publications.length], [true, 1_000]);
});

Deno.test("B16 the README's plugin works and has at most twenty lines", async () => {
  const program = programs.find(({ title }) => title === "A plugin in twenty lines")!;
  const plugin = program.code.match(/^function noShouting.*?^\}/ms)![0];
  assert(plugin.split("\n").length <= 20, "the plugin has more than twenty lines");
  await using server = await startSnippet(program.code);
  await using client = await Client.connect(`${server.url}/ws`);
  const { data } = JSON.parse(section("A plugin in twenty lines").match(/`(\{"type":"publish".*?\})`/)![1]!);
  client.sendJson({ type: "publish", channel: "chat", data });
  const refused = await reply(client, ({ type }) => type === "error");
  assert.deepEqual([refused.data.code, refused.data.message], ["BAD_REQUEST", "No shouting in chat, please"]);
  client.sendJson({ type: "publish", channel: "chat", data: "hello" });
  await reply(client, ({ type }) => type === "published");
  assert.deepEqual(await (await fetch(`${server.url}/shouts`)).json(), { shouts: 1 });
});

Deno.test("the README's messages for wscat are answered without an error", async () => {
  await using server = await startMain();
  const lines = snippets().flatMap(({ code }) => [...code.matchAll(/^> (.+)$/gm)]).map(([, line]) => line!);
  assert(lines.length > 1);
  await using client = await Client.connect(`${server.url}/ws`);
  for (const line of lines) {
    client.send(line);
    const type = JSON.parse(line).type === "subscribe" ? "subscribed" : "published";
    await reply(client, (message) => message.type === type);
  }
});

Deno.test("every endpoint in the README exists", async () => {
  await using server = await startMain();
  const paths = [...section("Endpoints").matchAll(/`(\/[^`]*)`/g)].map(([, path]) =>
    path!.replace("{room}", "general").replace("{name}", "Ada").replace("/api/…", "/api/info").replace(
      "…",
      "x",
    )
  );
  assert(paths.length > 15);
  for (const path of paths) {
    const answers = await Promise.all(["GET", "POST"].map(async (method) => {
      const response = await fetch(server.url + path, { method });
      await response.body?.cancel();
      return response.status;
    }));
    assert(answers.some((status) => status !== 404), `${path} does not exist`);
  }
  for (const path of ["/ws", "/sync/x", "/relay/x", "/chat/ws/general/Ada", "/hub/ws?userId=ada", "/echo"]) {
    await using _ = await Client.connect(server.url + path);
  }
});

/** Starts `main.ts` with a new database. */
async function startMain(env: Record<string, string> = {}): Promise<RunningExample> {
  const folder = await Deno.makeTempDir();
  const server = await startExample(["run", "--allow-all", "--no-check", "main.ts"], {
    env: { ...env, DATA_DIR: folder },
  });
  return { ...server, [Symbol.asyncDispose]: () => ended(server, folder) };
}

/** Starts a program of the README with the import map of this project, and other files beside it. */
async function startSnippet(code: string, others: Record<string, string> = {}): Promise<RunningExample> {
  const folder = await Deno.makeTempDir();
  for (const [name, text] of Object.entries(others)) await Deno.writeTextFile(`${folder}/${name}`, text);
  const program = `${folder}/program.ts`;
  await Deno.writeTextFile(program, code.replaceAll(PORTS, `Number(Deno.env.get("PORT"))`));
  const config = new URL("deno.json", root).pathname;
  const server = await startExample([
    "run",
    "--allow-all",
    "--check",
    "--frozen",
    `--lock=${new URL("tests/deno.lock", root).pathname}`,
    "--config",
    config,
    program,
  ], { cwd: folder });
  return { ...server, [Symbol.asyncDispose]: () => ended(server, folder) };
}

async function ended(server: RunningExample, folder: string): Promise<void> {
  await server[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
}

/** Runs a client of the README in an empty folder until it has printed the expected lines. */
async function runsAsPasted(
  code: string,
  { port }: RunningExample,
  env: Record<string, string> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/program.ts`, code.replaceAll(PORTS, String(port)));
  const child = deno(["run", "--allow-all", "program.ts"], { cwd: folder, env }).spawn();
  let exited = false;
  child.status.then(() => exited = true);
  const lines: string[] = [];
  const reading = Promise.all([child.stdout, child.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) lines.push(...text.split("\n"));
  }));
  try {
    await until(
      "the expected output",
      () => printedBy(code).every((line) => lines.includes(line)),
      20_000,
    );
  } catch {
    assert.deepEqual(lines, printedBy(code));
  } finally {
    if (!exited) child.kill("SIGKILL");
    await Promise.all([child.status, reading]);
    await Deno.remove(folder, { recursive: true });
  }
}

function printedBy(code: string): string[] {
  return [...code.matchAll(/\/\/ prints: (.+)$/gm)].map(([, line]) => line!);
}

/** Resolves to the next matching message and skips others. */
// deno-lint-ignore no-explicit-any -- tests look into what they expect
async function reply(client: Client, wanted: (message: any) => boolean): Promise<any> {
  const others = [];
  while (others.length < 10) {
    const message = await client.nextJson();
    if (wanted(message)) return message;
    others.push(message);
  }
  assert.fail(`no match among these: ${JSON.stringify(others)}`);
}
