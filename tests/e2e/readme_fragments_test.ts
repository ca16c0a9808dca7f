/** The parts of programs in the READMEs: they fit the types of what they use, and the sign-in of own users works. */

import assert from "node:assert/strict";
import { deno, root, startExample } from "../kit/example.ts";
import { Client } from "../kit/mod.ts";
import { snippets } from "../kit/readme.ts";

const IMPORTS = `
import { run, Server } from "@plugboard/server";
import { auth } from "@plugboard/server/auth";
import { centrifuge } from "@plugboard/server/centrifuge";
import { channels } from "@plugboard/server/channels";
import { liveQueries } from "@plugboard/server/live_queries";
import { mutations } from "@plugboard/server/mutations";
import { persistence } from "@plugboard/server/persistence";
import { presence } from "@plugboard/server/presence";
import { proxies } from "@plugboard/server/proxies";
import { rpc } from "@plugboard/server/rpc";
import { webhooks } from "@plugboard/server/webhooks";
import { Centrifuge } from "centrifuge";
import { z } from "zod";
`;
/** For the part with JSX. */
const JSX = `/** @jsxImportSource npm:react@19.3.1 */
/** @jsxImportSourceTypes npm:@types/react@19.3.3 */
`;
const SERVER = `const server = new Server({ port: 0 });
const store = server.use(persistence({ path: ":memory:" }));
`;
const SERVICES = `${SERVER}const access = server.use(auth());
const bus = server.use(channels({ access }));
const people = server.use(presence({ channels: bus }));
const methods = server.use(rpc());
const queries = server.use(liveQueries({ store, channels: bus }));
const changes = server.use(mutations({ store, rpc: methods, queries }));
`;

/** What comes before a part, by its title and the text that it begins with. */
const BEFORE: [title: string, begins: string, before: string][] = [
  ["Checks.", "", SERVICES],
  ["Your own users.", "", SERVER],
  ["Your backend decides", "", SERVER],
  ["Events to your backend", "", SERVICES],
  ["React", "", "declare const client: Centrifuge;\n"],
  ["Types from the server", "// api.ts", ""],
  ["Types from the server", "// the server", `import { api } from "./5.tsx";\n${SERVICES}`],
  ["Types from the server", "// the app", ""],
  ["Sign-in, from start to end.", "", "declare const url: string;\n"],
];

function part(title: string, begins = ""): string {
  const found = snippets().find((each) => each.title === title && each.code.startsWith(begins));
  assert.ok(found, `no snippet ${title} ${begins}`);
  return found.code;
}

/** Adds the imports that a part uses and does not have itself. */
function program(before: string, code: string): string {
  const names = (line: string) => line.match(/\{ (.*) \}/)![1]!.split(", ");
  const own = [...code.matchAll(/^import .*$/gm)].flatMap(([line]) => names(line));
  const imports = IMPORTS.split("\n").filter((line) =>
    line !== "" && !names(line).some((name) => own.includes(name)) &&
    names(line).some((name) => new RegExp(`\\b${name}\\b`).test(before + code))
  );
  return `${JSX}${imports.join("\n")}\n${before}${code.replace("../server/api.ts", "./5.tsx")}\nexport {};\n`;
}

async function inFolder(
  files: Record<string, string>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const CONFIG = [
  "--frozen",
  `--lock=${new URL("tests/deno.lock", root).pathname}`,
  `--config=${new URL("deno.json", root).pathname}`,
];

Deno.test("B16 the parts of programs in the READMEs fit the types", async () => {
  const files = BEFORE.map((
    [title, begins, before],
    i,
  ) => [`${i}.tsx`, program(before, part(title, begins))]);
  await inFolder(Object.fromEntries(files), async (folder) => {
    const { success, stderr } = await deno([
      "check",
      ...CONFIG,
      ...files.map(([name]) => `${folder}/${name}`),
    ])
      .output();
    assert.ok(success, new TextDecoder().decode(stderr));
  });
});

Deno.test("B16 each snippet of the READMEs is run or checked by a test", () => {
  const checked = new Set(BEFORE.map(([title, begins]) => part(title, begins)));
  const others = snippets().filter(({ language, code }) =>
    /^tsx? ignore$/.test(language) && !checked.has(code) && !code.startsWith("import ") &&
    !code.includes("//127.0.0.1:8080")
  );
  assert.deepEqual(
    others.map(({ title }) => title),
    [],
    "a part of a program that is in no list of this file",
  );
});

Deno.test("B16 the README's sign-in of own users lets in who the tables name, and nobody else", async () => {
  const start = `await run(server);
await store.exec("CREATE TABLE sessions (id TEXT PRIMARY KEY, user TEXT, expires_at INTEGER)");
await store.exec("CREATE TABLE members (room INTEGER, user TEXT)");
await store.exec("INSERT INTO sessions VALUES ('s1', 'ada', 9e12), ('s2', 'bob', 9e12), ('old', 'ada', 5)");
await store.exec("INSERT INTO members VALUES (1, 'ada')");
console.log("tables are there");
`;
  const own = SERVER.replace("port: 0", 'port: Number(Deno.env.get("PORT"))');
  await inFolder({ "program.ts": program(own, `${part("Your own users.")}${start}`) }, async (folder) => {
    const args = ["run", "--allow-all", "--no-check", ...CONFIG, `${folder}/program.ts`];
    await using server = await startExample(args, { cwd: folder });
    const codes = async (cookie: string, ...commands: object[]) => {
      await using client = await Client.connect(`${server.url}/connection/websocket`, [], { cookie });
      const answers: unknown[] = [];
      for (const [i, command] of [{ connect: {} }, ...commands].entries()) {
        client.sendJson({ id: i + 1, ...command });
        const { error } = await client.nextJson();
        answers.push(error?.code ?? "ok");
        if (error !== undefined) break;
      }
      return answers;
    };
    const room = (name: string) => ({ subscribe: { channel: name } });
    assert.deepEqual(await codes("a=b; session=s1", room("room:1")), ["ok", "ok"]);
    assert.deepEqual(await codes("session=s1", room("room:2")), ["ok", 103], "no member");
    assert.deepEqual(await codes("session=s2", room("room:1")), ["ok", 103], "no member");
    assert.deepEqual(await codes("session=s1", room("news")), ["ok", 103], "no permissions");
    assert.deepEqual(await codes("session=s1", room("other:1")), ["ok", 102], "an unknown namespace");
    for (const cookie of ["", "session=old", "session=nothing"]) {
      assert.deepEqual(await codes(cookie), [101], cookie);
    }
  });
});
