import assert from "node:assert/strict";
import { packClient } from "../../kit/pack.ts";
import { deno } from "../../kit/example.ts";
import { findProgram, skip } from "../../kit/programs.ts";
import { serveApi } from "../../plugins/client/kit.ts";

/** The packages that `build.sh` fetches. */
const PACKAGES = `${
  Deno.env.get("PLUGBOARD_NPM_APP") ??
    `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/plugboard/npm_app`
}/node_modules`;

const exists = (path: string) => {
  try {
    return Deno.statSync(path) !== undefined;
  } catch {
    return false;
  }
};

/** Runs a program in a folder; returns what it prints. */
async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd }).output();
  const printed = new TextDecoder().decode(stdout);
  assert.ok(success, `${command} ${args.join(" ")}: ${printed}${new TextDecoder().decode(stderr)}`);
  return printed;
}

const name = "B23 the packed client is installed by npm, type-checks, and runs in a bundle";
if (!exists(`${PACKAGES}/typescript`)) skip("tests/e2e/client/build.sh has not fetched its packages", name);
else if (findProgram(["npm"]) === undefined) skip("npm is not installed", name);
else {
  // It packs the whole project, which takes about ten seconds.
  Deno.test(name, async () => {
    const app = await Deno.makeTempDir();
    try {
      const { types, reactTypes } = await packClient(`${app}/plugboard.tgz`);
      const served = (file: string) =>
        Deno.readTextFileSync(new URL(`../../../plugins/client/${file}`, import.meta.url));
      assert.equal(types, served("plugboard.d.ts"), "run deno task pack");
      assert.equal(reactTypes, served("plugboard_react.d.ts"), "run deno task pack");

      const source = new URL("npm_app/", import.meta.url);
      for (const { name } of Deno.readDirSync(source)) {
        await Deno.copyFile(new URL(name, source), `${app}/${name}`);
      }
      await Deno.writeTextFile(`${app}/package.json`, `{ "private": true, "type": "module" }`);
      // The peers are linked below, so that it needs no network.
      await run(app, "npm", "install", "--offline", "--legacy-peer-deps", "--silent", "./plugboard.tgz");
      for (const { name } of Deno.readDirSync(PACKAGES)) {
        if (name !== ".bin" && !exists(`${app}/node_modules/${name}`)) {
          await Deno.symlink(`${PACKAGES}/${name}`, `${app}/node_modules/${name}`);
        }
      }
      await run(app, "node", "node_modules/typescript/bin/tsc", "--project", ".");
      const bundle = [
        "--bundle",
        "--format=esm",
        "--platform=browser",
        "--outdir=out",
        "main.ts",
        "orders.tsx",
      ];
      await run(app, "node_modules/esbuild/bin/esbuild", "--log-level=error", ...bundle);
      const code = await Deno.readTextFile(`${app}/out/main.js`);
      assert.doesNotMatch(
        code,
        /useSyncExternalStore|zod|SELECT/,
        "the app has nothing of React and of the server",
      );

      await using server = await serveApi();
      const url = `${server.url.replace("http", "ws")}/connection/websocket`;
      const { success, stdout, stderr } = await deno(["run", "-A", "--no-config", `${app}/out/main.js`, url])
        .output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const printed = JSON.parse(new TextDecoder().decode(stdout));
      assert.deepEqual(printed, { sum: 3, id: 1, names: ["ada"] });
    } finally {
      await Deno.remove(app, { recursive: true });
    }
  });
}
