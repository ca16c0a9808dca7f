import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { deno } from "../kit/example.ts";
import { sdkClient } from "../kit/centrifuge.ts";
import { homeServer, SECRET } from "./home/kit.ts";

/** Fetches the page and everything it loads. */
async function loaded(url: string): Promise<{ html: string; policy: string; addresses: Set<string> }> {
  const response = await fetch(url);
  const html = await response.text();
  const addresses = new Set<string>();
  async function follow(address: string) {
    if (addresses.has(address)) return;
    addresses.add(address);
    const text = await (await fetch(address)).text();
    for (const [, name] of text.matchAll(/^import .*"(\.[^"]+)";$/gm)) {
      await follow(new URL(name!, address).href);
    }
  }
  const named = [...html.matchAll(/<(?:link|script|img)[^>]+(?:href|src)="([^"]+)"/g)].map(([, name]) =>
    name!
  );
  const { imports } = JSON.parse(html.match(/<script type="importmap">([^<]+)/)![1]!);
  for (const name of [...named, ...Object.values<string>(imports)]) await follow(new URL(name, url).href);
  return { html, policy: response.headers.get("content-security-policy")!, addresses };
}

Deno.test("the page loads everything from the server, by relative URLs", async () => {
  await using server = await homeServer();
  const { html, addresses } = await loaded(`${server.url}/`);
  const paths = Array.from(addresses, (address) => address.replace(server.url, "")).sort();
  assert.deepEqual(paths, [
    "/centrifuge.js",
    "/home/channel.js",
    "/home/code.js",
    "/home/dom.js",
    "/home/icon.svg",
    "/home/ideas.js",
    "/home/main.js",
    "/home/style.css",
  ]);
  const types: Record<string, string> = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
  for (const address of addresses) {
    const response = await fetch(address);
    await response.body?.cancel();
    assert.equal(response.status, 200, address);
    const type = response.headers.get("content-type")!;
    assert.equal(type.split(";")[0], types[address.split(".").at(-1)!], address);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  }
  assert.doesNotMatch(html, /(?:href|src)="(?:\/|https?:)/);
});

Deno.test("the policy allows only the page's own scripts, and no inline ones", async () => {
  await using server = await homeServer();
  const { html, policy } = await loaded(`${server.url}/`);
  const importMap = html.match(/<script type="importmap">([^<]*)</)![1]!;
  const hash = createHash("sha256").update(importMap).digest("base64");
  const directives = new Map(policy.split("; ").map((each) => each.split(/ (.*)/) as [string, string]));
  assert.equal(directives.get("default-src"), "'none'");
  assert.equal(directives.get("script-src"), `'self' 'sha256-${hash}'`);
  assert.equal(directives.get("style-src"), "'self'");
  assert.equal(directives.get("frame-ancestors"), "'none'");
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=/);
  for (const [, body] of html.matchAll(/<script(?! type="importmap")[^>]*>([^<]*)</g)) assert.equal(body, "");
});

Deno.test("files are revalidated and compressed", async () => {
  await using server = await homeServer();
  const plain = await server.fetch("/centrifuge.js", { headers: { "accept-encoding": "identity" } });
  const text = await plain.text();
  assert.match(text, /export \{ Centrifuge, /);
  const etag = plain.headers.get("etag")!;
  const again = await server.fetch("/centrifuge.js", { headers: { "if-none-match": etag } });
  assert.equal(again.status, 304);
  assert.equal(await again.text(), "");
  const packed = await server.fetch("/centrifuge.js", { headers: { "accept-encoding": "br, gzip" } });
  assert.equal(packed.headers.get("content-encoding"), "gzip");
  assert.equal(await packed.text(), text);
  const other = await server.fetch("/home/main.js", { headers: { "if-none-match": etag } });
  assert.equal(other.status, 200);
  await other.body?.cancel();
});

Deno.test("the demo keeps twenty short ideas and refuses invalid ones", async () => {
  await using server = await homeServer();
  await using client = sdkClient(server.url);
  client.sdk.connect();
  const ideas = () => server.store.all<{ id: number; idea: string }>("SELECT * FROM home_ideas ORDER BY id");
  for (let i = 1; i <= 30; i++) await client.sdk.rpc("home.add", { idea: `  idea ${i} ` });
  assert.deepEqual(ideas().map(({ idea }) => idea), Array.from({ length: 20 }, (_, i) => `idea ${i + 11}`));

  for (const idea of ["", "   ", "x".repeat(61), 5, null, undefined, ["x"], { toString: "x" }]) {
    await assert.rejects(client.sdk.rpc("home.add", { idea }), { code: 107 }, String(JSON.stringify(idea)));
  }
  for (const id of [undefined, "1", 1.5, NaN, 2 ** 60, -1, 1]) { // 1 was removed
    await assert.rejects(client.sdk.rpc("home.vote", { id }), { code: 107 }, String(id));
  }
  for (const nothing of [null, undefined, 5, "text"]) {
    await assert.rejects(client.sdk.rpc("home.add", nothing), { code: 107 });
    await assert.rejects(client.sdk.rpc("home.vote", nothing), { code: 107 });
  }
  const [first] = ideas();
  await Promise.all(Array.from({ length: 50 }, () => client.sdk.rpc("home.vote", { id: first!.id })));
  assert.equal(
    server.store.all<{ votes: number }>("SELECT max(votes) AS votes FROM home_ideas")[0]!.votes,
    50,
  );
  assert.equal(ideas().length, 20);
});

Deno.test("with required sign-in, the page has no demo table", async () => {
  await using server = await homeServer({ secret: SECRET });
  const { html } = await loaded(`${server.url}/`);
  assert.match(html, /<body data-demo="off">/);
  assert.deepEqual(server.store.all("SELECT name FROM sqlite_schema WHERE name = 'home_ideas'"), []);
  assert.deepEqual([...server.methods.methods], []);
});

Deno.test("stopping the server removes the demo's definitions and keeps its table", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/home.db`;
  {
    await using server = await homeServer({ path });
    await server.store.run("DELETE FROM home_ideas WHERE id > 1");
    await server.server.stop();
    assert.deepEqual([...server.methods.methods], []);
  }
  {
    await using server = await homeServer({ path });
    assert.equal(server.store.all("SELECT * FROM home_ideas").length, 1);
  }
  await Deno.remove(folder, { recursive: true });
});

/** Returns the code on the page by id, with the values that the page fills in. */
async function snippets(url: string, token = ""): Promise<Record<string, string>> {
  const { html } = await loaded(`${url}/`);
  const values: Record<string, string> = {
    sdk: `${url}/centrifuge.js`,
    socket: `${url.replace("http", "ws")}/connection/websocket`,
    liveRows: `${url}/live_rows.js`,
    channel: '"lobby"',
    token,
  };
  const found = html.matchAll(/<pre id="code-(\w+)">\n(.*?)<\/pre>/gs);
  const filled = (code: string) => textOf(code).replaceAll(/{{(\w+)}}/g, (_, name) => values[name]!);
  return Object.fromEntries(Array.from(found, ([, id, code]) => [id, filled(code!)]));
}

function textOf(html: string): string {
  return html.replace(/<[^>]+>/g, "").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll(
    "&amp;",
    "&",
  );
}

/** Runs a program and resolves to its output. */
async function run(program: string, env: Record<string, string> = {}): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, program);
  const args = ["run", "--allow-all", "--quiet", "--no-lock", "--config", "deno.json", file];
  const { success, stdout, stderr } = await deno(args, { env }).output();
  await Deno.remove(file);
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("the code on the page runs as copied", async () => {
  await using server = await homeServer();
  const { talk, history, ideas } = await snippets(server.url);
  const printed = await run([talk, history, ideas, "client.disconnect();"].join("\n\n"));
  assert.match(printed, /^Hello$/m);
  assert.match(printed, /^1 here\n1 Hello\n/m);
  assert.match(printed, /│ "A chat" +│ +1 │/);
});

Deno.test("a token created by the code on the page is accepted", async () => {
  await using server = await homeServer({ secret: SECRET });
  const { talk, token } = await snippets(server.url, ", { token }");
  assert.match(
    await run(`${token}\n${talk}\nconsole.log(client.state); client.disconnect();`, { JWT_SECRET: SECRET }),
    /^eyJ[\w.-]+\n[^]*1 here\nconnected\n$/,
  );
});

Deno.test("the server code on the page defines a query and a mutation", async () => {
  await using server = await homeServer();
  const { server: code } = await snippets(server.url);
  const printed = await run(`
    import { Server } from "@plugboard/server";
    import { channels } from "@plugboard/server/channels";
    import { liveQueries } from "@plugboard/server/live_queries";
    import { mutations } from "@plugboard/server/mutations";
    import { persistence } from "@plugboard/server/persistence";
    import { rpc } from "@plugboard/server/rpc";

    const server = new Server({ port: false });
    const store = server.use(persistence({ path: ":memory:" }));
    const methods = server.use(rpc());
    const queries = server.use(liveQueries({ store, channels: server.use(channels()) }));
    const changes = server.use(mutations({ store, rpc: methods, queries }));
    await server.start();
    await store.exec("CREATE TABLE home_ideas (id INTEGER PRIMARY KEY, idea TEXT, votes INTEGER)");
    await store.run("INSERT INTO home_ideas VALUES (1, 'A chat', 0)");
    ${code}
    const diff = new Promise((resolve) => queries.watch("home.ideas", {}, resolve));
    await methods.call("home.vote", { id: 1 }, { identity: { user: "", can: () => true } });
    console.log(JSON.stringify(await diff));
    await server.stop();
  `);
  assert.equal(printed, '{"upsert":[{"id":1,"idea":"A chat","votes":1}]}\n');
});
