/** Makes a folder of one's own: `deno task new ../my-app`. */

import { fileURLToPath } from "node:url";
import { join, relative, resolve } from "node:path";
import config from "../../deno.json" with { type: "json" };

const FILES = ["main.ts", "visitors.ts", "visitors_test.ts", "pages/index.html"];

const ENV = `# Settings of main.ts. Copy this file to .env.
PORT=8080
# At least 32 random bytes as text. With it, users need a token.
# JWT_SECRET=
`;

const README = `# My app

- \`deno task start\` runs the server; open http://127.0.0.1:8080 in two windows. \`deno task dev\` restarts it after each change.
- \`deno test\` runs the tests.

| file | what is in it |
|---|---|
| \`main.ts\` | the plugins, with presence and limits; a live query (\`tasks\`) and two mutations (\`addTask\`, \`setDone\`) |
| \`visitors.ts\`, \`visitors_test.ts\` | a plugin of your own, and its test |
| \`pages/\` | what browsers get |
| \`.env.example\` | the settings; copy it to \`.env\` |
| \`deno.json\` | tasks, and the folder of Plugboard (\`links\`) |
`;

function manifest(folder: string): string {
  const permissions = "--allow-net --allow-env --allow-read --allow-write";
  const value = {
    tasks: {
      start: `deno run --quiet ${permissions} main.ts`,
      dev: `deno run --quiet --watch ${permissions} main.ts`,
    },
    links: [relative(folder, fileURLToPath(new URL("../../", import.meta.url)))],
    imports: {
      [config.name]: `jsr:${config.name}@${config.version}`,
      centrifuge: config.imports.centrifuge,
    },
    unstable: config.unstable,
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Ends the program with a sentence. */
function fail(sentence: string): never {
  // deno-lint-ignore no-console -- the answer of a command
  console.error(sentence);
  Deno.exit(1);
}

const [given, ...more] = Deno.args;
if (given === undefined || more.length > 0) fail("Name the new folder: deno task new ../my-app");
const folder = resolve(Deno.env.get("INIT_CWD") ?? ".", given);
try {
  if (![...Deno.readDirSync(folder)].every(() => false)) fail(`${folder} is not empty; nothing was made`);
} catch (error) {
  if (error instanceof Deno.errors.NotADirectory) fail(`${folder} is a file; nothing was made`);
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
Deno.mkdirSync(join(folder, "pages"), { recursive: true });
for (const file of FILES) {
  Deno.writeTextFileSync(join(folder, file), Deno.readTextFileSync(new URL(file, import.meta.url)));
}
Deno.writeTextFileSync(join(folder, "deno.json"), manifest(folder));
// The versions that Plugboard is tested with.
Deno.writeTextFileSync(
  join(folder, "deno.lock"),
  Deno.readTextFileSync(new URL("../../deno.lock", import.meta.url)),
);
Deno.writeTextFileSync(join(folder, ".env.example"), ENV);
Deno.writeTextFileSync(join(folder, ".gitignore"), "/data/\n.env\n");
Deno.writeTextFileSync(join(folder, "README.md"), README);
// deno-lint-ignore no-console -- the answer of a command
console.log(`Made ${folder}. Start it: cd ${given} && deno task start`);
