/** What the package offers is reachable and documented. The examples in the documentation run by `deno task ok`. */

import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };

const root = new URL("../", import.meta.url);

Deno.test("every plugin can be imported under its own name", () => {
  const offered = new Map([[".", "./core/mod.ts"]]);
  for (const folder of ["plugins", "plugins/protocols"]) {
    for (const { name, isFile } of Deno.readDirSync(new URL(folder, root))) {
      if (!isFile || !name.endsWith(".ts")) continue;
      const specifier = `./${name.slice(0, -3)}`;
      assert(!offered.has(specifier), `${folder}/${name} and ${offered.get(specifier)} have the same name`);
      offered.set(specifier, `./${folder}/${name}`);
    }
  }
  assert.deepEqual(new Map(Object.entries(config.exports).sort()), new Map([...offered].sort()));
});

Deno.test("everything that is exported is documented", async () => {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", ...Object.values(config.exports)],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const [, ...findings] = new TextDecoder().decode(stderr).split(/^error(?=\[)/m);
  assert(success || findings.length > 0, new TextDecoder().decode(stderr));
  const ours = findings.filter((finding) => !concernsForeignType(finding));
  assert.equal(
    ours.length,
    0,
    `\n${ours.map((finding) => finding.split("\n").slice(0, 2).join("\n")).join("\n")}`,
  );
});

/** The linter takes a type of another package for a private one of ours; there is no option against it. */
function concernsForeignType(finding: string): boolean {
  const [, type] = finding.match(/references private type '(\w+)'/) ?? [];
  const [, path] = finding.match(/--> (.+?):\d+:\d+/) ?? [];
  if (type === undefined || path === undefined) return false;
  const source = Deno.readTextFileSync(path);
  return new RegExp(`^import [^;]*\\b${type}\\b[^;]* from "[^.][^"]*";`, "m").test(source);
}

Deno.test("the README's first lines are commands that work", () => {
  const [block = ""] = Deno.readTextFileSync(new URL("README.md", root)).match(/(?<=^```sh\n)[^`]+/m) ?? [];
  const tasks = [...block.matchAll(/^npx -y deno@(\S+) task (\w+)/gm)];
  assert.deepEqual(tasks.map(([, , task]) => task), ["start", "test"]);
  for (const [, version = "", task = ""] of tasks) {
    assert(task in config.tasks);
    const pinned = Deno.readTextFileSync(new URL(".ci/run", root)).match(/^deno_version=(.+)$/m)?.[1];
    assert.equal(version, pinned, "the README and .ci/run name different versions of Deno");
  }
});
